/** `emeth generate`: writes text with a trained model, in a Python child. */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { openCommandLogger } from '../../app/account';
import { AppError } from '../../lib/errors';
import { openTrainers } from '../../runner/trainers';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface GenerateOptions extends CommonOptions {
  prompt: string;
  tokens: number;
  temperature: number;
  topK: number;
  seed: number;
  device: string;
}

export async function generateText(model: string, options: GenerateOptions): Promise<void> {
  await requireDirectory(model);
  const logger = openCommandLogger(options);
  const dir = await mkdtemp(join(tmpdir(), 'emeth-generate-'));
  const { prompt, tokens: maxNewTokens, temperature, topK, seed, device } = options;
  try {
    const trainers = await openTrainers({ dir }, logger);
    const place = { device, threads: 0, workDir: join(dir, 'work') };
    const wanted = { directory: resolve(model), prompt, maxNewTokens, temperature, topK, seed };
    await using child = trainers.open({ kind: 'generate', ...place, ...wanted });
    const { text } = await child.next('generated');
    if (options.json) printJson({ text });
    else printLines(text);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Throws `usage/no-model`. */
async function requireDirectory(dir: string): Promise<void> {
  if ((await stat(dir).catch(() => undefined))?.isDirectory()) return;
  throw new AppError(
    { code: 'usage/no-model', dir },
    `There is no directory ${dir}; name the one that \`emeth result --out\` wrote.`,
  );
}

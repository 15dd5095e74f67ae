import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { openCommandLogger } from '../../app/context';
import { AppError } from '../../lib/errors';
import { type CommonOptions, example, wholeNumber } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface GenerateOptions extends CommonOptions {
  prompt: string;
  tokens: number;
  temperature: number;
  topK: number;
  seed: number;
  device: string;
}

export function registerGenerate(program: Command): void {
  program
    .command('generate')
    .description('let a trained model write')
    .argument('<dir>', 'directory of the model, as `emeth result` writes it')
    .option('--prompt <text>', 'what it goes on from', '\n')
    .option('--tokens <n>', 'most tokens to write', wholeNumber(1), 200)
    .option('--temperature <t>', '0 takes the likeliest token, higher is bolder', temperature, 0.8)
    .option('--top-k <k>', 'choose among the k likeliest tokens; 0 among all', wholeNumber(0), 0)
    .option('--seed <n>', 'the same seed writes the same text', wholeNumber(0), 0)
    .option('--device <device>', 'cpu, cuda or cuda:n', 'cpu')
    .addHelpText('after', example('emeth generate .demo/model --prompt "The whale" --tokens 300'))
    .action(generate);
}

async function generate(dir: string, options: GenerateOptions): Promise<void> {
  await requireDirectory(dir);
  const { findPython } = await import('../../runner/python.js');
  const { openTrainer } = await import('../../runner/trainer.js');
  const python = await findPython();
  const logger = await openCommandLogger(options);
  const workDir = await mkdtemp(join(tmpdir(), 'emeth-generate-'));
  const { prompt, tokens: maxNewTokens, temperature, topK, seed, device } = options;
  try {
    await using child = openTrainer(
      {
        kind: 'generate',
        device,
        threads: 0,
        workDir,
        directory: resolve(dir),
        prompt,
        maxNewTokens,
        temperature,
        topK,
        seed,
      },
      { python: python.path, logger },
    );
    const { text } = await child.next('generated');
    if (options.json) printJson({ text });
    else printLines(text);
  } finally {
    await rm(workDir, { recursive: true, force: true });
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

function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 10) return value;
  throw new InvalidArgumentError('It must be a number from 0 to 10.');
}

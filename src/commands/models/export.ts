/** `emeth export`: a trained model as a file for other programs. */
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { stopSignal } from '../../app/context';
import { formatBytes } from '../../lib/format-bytes';
import { requireAbsent } from '../../terminal/files';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';
import { findModel } from './find-model';
import { openModelChild, unlessStopped } from './model-child';

export type Quant = 'q8_0' | 'f16' | 'f32';

interface ExportOptions extends CommonOptions {
  quant: Quant;
  base?: string | undefined;
  out: string;
}

export async function exportModel(model: string, options: ExportOptions): Promise<void> {
  const place = await findModel(model, options.base);
  const out = resolve(options.out);
  requireAbsent([out]);
  const signal = stopSignal();
  const { quant } = options;
  await mkdir(dirname(out), { recursive: true });
  const written = (workDir: string) => join(workDir, 'model.gguf');
  const spec = (workDir: string) => ({ kind: 'gguf' as const, device: 'cpu', ...place, quant, out: written(workDir) });
  // Beside the file to be, so that it can be moved there whatever its size.
  await using opened = await openModelChild(spec, options, signal, dirname(out));
  const { file, architecture } = await unlessStopped(signal, opened.child.next('converted'));
  await rename(written(opened.workDir), out);
  if (options.json)
    return printJson({ file: options.out, sha256: file.sha256, bytes: file.bytes, quant, architecture });
  printLines(`${options.out} (${formatBytes(file.bytes)}, ${quant}, sha256 ${file.sha256})`);
  talk(`Try it: llama-cli -m ${options.out}, or any other program that is built on llama.cpp.`);
}

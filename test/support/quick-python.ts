import { writeFile } from 'node:fs/promises';
import { testPython } from './tiny-job';

/**
 * Writes an interpreter that says at once what it has: each of a network's processes would load PyTorch to find that out, and throw
 * it away again. Everything else is done by the real one.
 */
export async function writeQuickPython(path: string): Promise<string> {
  const facts = JSON.stringify({ version: '3.12.0', missing: '', torch: 'not asked', cudaDevices: [] });
  const lines = ['#!/bin/sh', `if [ "$1" = -c ]; then echo '${facts}'; else exec '${testPython}' "$@"; fi`, ''];
  await writeFile(path, lines.join('\n'), { mode: 0o755 });
  return path;
}

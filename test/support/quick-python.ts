/** An interpreter that skips the slow probe, for tests that start many processes. */
import { writeFile } from 'node:fs/promises';
import { testPython } from './tiny-job';

/**
 * Writes a wrapper of the real interpreter that answers the probe at once. Otherwise every process of a
 * network would load PyTorch just to report its version.
 */
export async function writeQuickPython(path: string): Promise<string> {
  const facts = JSON.stringify({ version: '3.12.0', missing: '', torch: 'not asked', cudaDevices: [] });
  const lines = ['#!/bin/sh', `if [ "$1" = -c ]; then echo '${facts}'; else exec '${testPython}' "$@"; fi`, ''];
  await writeFile(path, lines.join('\n'), { mode: 0o755 });
  return path;
}

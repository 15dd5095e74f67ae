/** Starts the far side of a proxy as a process whose environment names certificates and proxies. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { FarSide, FarSideReport } from '../fixtures/far-side';

const root = join(__dirname, '..', '..');

/** Runs `test/fixtures/far-side.ts`; throws what it printed when it fails. */
export async function runFarSide(task: FarSide, env: Record<string, string>): Promise<FarSideReport> {
  const compiler = join(root, 'node_modules', '.bin', 'ts-node');
  const program = join(root, 'test', 'fixtures', 'far-side.ts');
  const child = spawn(process.execPath, [compiler, '--swc', program], { env: { ...process.env, ...env } });
  child.stdin.end(JSON.stringify(task));
  const [[status], printed, complaint] = await Promise.all([
    once(child, 'exit'),
    text(child.stdout),
    text(child.stderr),
  ]);
  if (status !== 0) throw new Error(complaint);
  return JSON.parse(printed) as FarSideReport;
}

/** The command line for tests: in this process, or as built. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { runCli } from '../../src/cli';

/** The built command line, for tests that need it as a process of its own. */
export function builtCli(): string {
  const path = join(__dirname, '..', '..', 'dist', 'cli.js');
  if (!existsSync(path)) throw new Error(`${path} is missing; run: npm run build`);
  return path;
}

/** Runs a command line in this process and collects what it prints. */
export async function runInProcess(...argv: string[]): Promise<{ status: number; out: string; talk: string }> {
  const out: string[] = [];
  const talk: string[] = [];
  const spies = [capture('stdout', out), capture('stderr', talk)];
  try {
    const status = await runCli(argv);
    return { status, out: out.join(''), talk: talk.join('') };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

function capture(name: 'stdout' | 'stderr', into: string[]): jest.SpyInstance {
  return jest.spyOn(process[name], 'write').mockImplementation((text) => {
    into.push(String(text));
    return true;
  });
}

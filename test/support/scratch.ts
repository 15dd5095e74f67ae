/** Temporary directories for tests. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory in memory, if the system has one: syncing a file there costs nothing. */
const MEMORY = '/dev/shm';
export const fastDir = () => (existsSync(MEMORY) ? MEMORY : tmpdir());

/** Creates an empty directory that is removed when disposed. */
export async function openScratch(
  parent = tmpdir(),
): Promise<AsyncDisposable & { path: string; file(name: string): string }> {
  const path = await mkdtemp(join(parent, 'emeth-test-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

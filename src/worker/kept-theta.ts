/** The weights that a child has left on disk, from which the worker's next process can go on. */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../domain/ids';

const KEPT = /^theta-[0-9a-f]{64}\.safetensors$/;

/** Where θ of this hash lies in a job's directory, if a child has left it there. A child checks its hash. */
export async function findKept(dir: string, sha256: Sha256): Promise<string | undefined> {
  const path = join(dir, `theta-${sha256}.safetensors`);
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() ? path : undefined;
}

/** Removes all that is in a job's directory; with `isKept` all but weights that a later child may need. */
export async function clearJobDir(dir: string, isKept: boolean): Promise<void> {
  if (!isKept) return rm(dir, { recursive: true, force: true });
  for (const name of await list(dir)) if (!KEPT.test(name)) await rm(join(dir, name), { recursive: true, force: true });
}

/** Clears the directories of all jobs, of which `keep` may go on. */
export async function clearJobDirs(root: string, keep: (jobId: string) => boolean): Promise<void> {
  for (const jobId of await list(root)) await clearJobDir(join(root, jobId), keep(jobId));
}

function list(dir: string): Promise<string[]> {
  return readdir(dir).catch(() => []);
}

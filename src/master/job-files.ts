/** The folders in which the jobs of a master work, one each, and which jobs have one. */
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { baseDirPath } from '../blobs/base-dir';
import { JobId, type Sha256 } from '../domain/ids';

/** Where a job's Python child works. */
export function jobDir(dataDir: string, jobId: JobId): string {
  return join(dataDir, 'jobs', jobId);
}

/** Where the files of a job's base lie, which other jobs may have too. */
export function jobBaseDir(dataDir: string, { list }: { list: Sha256 }): string {
  return baseDirPath(join(dataDir, 'bases'), list);
}

/** Lists the jobs that have a folder here, the one that has not changed for longest first. */
export async function listJobDirs(dataDir: string): Promise<JobId[]> {
  const names = await readdir(join(dataDir, 'jobs')).catch(() => []);
  const known = names.flatMap((name) => JobId.safeParse(name).data ?? []);
  const dated = await Promise.all(
    known.map(async (jobId) => {
      const found = await stat(jobDir(dataDir, jobId)).catch(() => undefined);
      return found ? [{ jobId, atMs: found.mtimeMs }] : [];
    }),
  );
  const byAge = dated.flat().sort((a, b) => a.atMs - b.atMs);
  return byAge.map(({ jobId }) => jobId);
}

/** Removes what is in a job's folder, and makes the folder if there is none. */
export async function emptyJobDir(dataDir: string, jobId: JobId): Promise<void> {
  const dir = jobDir(dataDir, jobId);
  await mkdir(dir, { recursive: true });
  for (const name of await readdir(dir)) await rm(join(dir, name), { recursive: true, force: true });
}

export async function removeJobDir(dataDir: string, jobId: JobId): Promise<void> {
  await rm(jobDir(dataDir, jobId), { recursive: true, force: true });
}

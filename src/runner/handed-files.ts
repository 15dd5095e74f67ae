/** Files that a child behind walls may read for one command: links in a directory that it cannot write. */
import { constants, rmSync } from 'node:fs';
import { copyFile, link, rm } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { errorCode } from '../lib/errors';
import { isWithin } from '../lib/paths';

export class HandedFiles {
  private count = 0;

  /** `workDir` is where the child can read and write anyway; `dir` is private to these files. */
  constructor(
    readonly dir: string,
    private readonly workDir: string,
  ) {}

  /**
   * Runs `work` with the command as the child understands it: every absolute path outside its directory names
   * a link to that file. A file that does not exist keeps its name, so that the child reports it.
   */
  async during<C extends object, T>(command: C, work: (command: C) => Promise<T>): Promise<T> {
    const names = new Map<string, string>();
    try {
      for (const path of pathsIn(command)) {
        if (isWithin(path, this.workDir) || names.has(path)) continue;
        const name = join(this.dir, `${this.count++}-${basename(path)}`);
        if (await hand(path, name)) names.set(path, name);
      }
      return await work(rename(command, names));
    } finally {
      await Promise.all([...names.values()].map((name) => rm(name, { force: true })));
    }
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Of a message, every text that is an absolute path: nothing else in a command begins with a slash. */
export function pathsIn(value: unknown): string[] {
  if (typeof value === 'string') return isAbsolute(value) ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(pathsIn) : [];
}

function rename<C extends object>(command: C, names: ReadonlyMap<string, string>): C {
  const text = JSON.stringify(command, (_key, value: unknown) =>
    typeof value === 'string' ? (names.get(value) ?? value) : value,
  );
  return JSON.parse(text) as C;
}

/** Links the file; copies it where links cannot reach, as on another disk. False if there is no such file. */
async function hand(path: string, name: string): Promise<boolean> {
  try {
    await link(path, name);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    await copyFile(path, name, constants.COPYFILE_FICLONE);
    return true;
  }
}

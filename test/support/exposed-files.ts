/** What other accounts of this machine could look into. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/** Lists the files and directories below a directory that are not for their owner alone, with their modes. */
export async function listExposed(dir: string): Promise<string[]> {
  const names = await readdir(dir, { recursive: true });
  const found = await Promise.all(
    names.map(async (name) => {
      const { mode } = await stat(join(dir, name));
      return (mode & 0o077) === 0 ? [] : [`${name} ${(mode & 0o777).toString(8)}`];
    }),
  );
  return found.flat();
}

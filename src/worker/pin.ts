/** The pinned master: the first one this worker met, kept in its data directory. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFile from 'write-file-atomic';
import { Address } from '../domain/ids';

/** Opens the pin in the data directory. Once a master is saved, the link accepts no other. */
export function openPin(dataDir: string): {
  load(): Promise<Address | undefined>;
  save(master: Address): Promise<void>;
} {
  const path = join(dataDir, 'master.address');
  return {
    async load() {
      const text = await readFile(path, 'utf8').catch(() => undefined);
      return text === undefined ? undefined : Address.parse(text.trim());
    },
    save: (master) => writeFile(path, `${master}\n`),
  };
}

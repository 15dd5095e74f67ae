import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import writeFile from 'write-file-atomic';
import { Address } from '../domain/ids';

/** The master this worker met first, kept in its data directory: from then on no other is accepted. */
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

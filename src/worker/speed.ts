/** The training speed a worker offers: measured once, then remembered. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import writeFile from 'write-file-atomic';
import { z } from 'zod';
import type { Logger } from '../lib/logger';
import type { Offer } from '../protocol/link';
import type { TrainerSpec } from '../protocol/trainer';
import type { Trainer } from '../runner/trainer';

const Known = z.object({ of: z.string(), gflops: z.number().positive() });

export interface SpeedOptions {
  dataDir: string;
  device: string;
  devices: Offer['devices'];
  threads: number;
}

/**
 * Returns the training speed of all these devices together in GFLOP/s. Measured once per set of devices and
 * threads, then remembered in the data directory. Of several equal GPUs, one is measured.
 */
export async function measureSpeed(
  { dataDir, device, devices, threads }: SpeedOptions,
  deps: { openChild(spec: TrainerSpec): Trainer; logger: Logger },
): Promise<number> {
  const path = join(dataDir, 'speed.json');
  const of = [...devices.map(({ name }) => name), `${threads} threads`].join(', ');
  const known = await readKnown(path);
  if (known?.of === of) return known.gflops;
  deps.logger.info('Measuring speed', { of });
  const one = device === 'cuda' ? 'cuda:0' : device;
  await using child = deps.openChild({ kind: 'bench', device: one, threads, workDir: join(dataDir, 'bench') });
  const benched = await child.next('benched');
  const gflops = benched.gflops * devices.length;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, JSON.stringify({ of, gflops }));
  return gflops;
}

async function readKnown(path: string): Promise<z.infer<typeof Known> | undefined> {
  try {
    return Known.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined; // missing or of an older version: measured again
  }
}

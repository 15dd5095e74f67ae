/** `emeth measure`: what this machine can do as a worker, measured as a master would. */

import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { defaultConfigPath, loadRole } from '../../app/context';
import type { WorkerConfig } from '../../config/roles/worker';
import { formatBytes } from '../../lib/format-bytes';
import { silentLogger } from '../../lib/logger';
import { openTrainers } from '../../runner/trainers';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';
import { listDevices } from '../../worker/devices';
import { measureSpeed } from '../../worker/speed';

interface MeasureMachineOptions extends CommonOptions {
  disk?: string | undefined;
}

const DISK_TEST_BYTES = 256 * 2 ** 20;
const CHUNK_BYTES = 2 ** 20;
/** The fp32 rate of an RTX 4090 counts as this much power. */
const REFERENCE = { gflops: 82_580, power: 1000 };

/** Measures speed and disk. A worker's configuration, if there is one, names device, threads and Python. */
export async function measureMachine(options: MeasureMachineOptions): Promise<void> {
  const settings = readWorker(options);
  const { devices, gflops } = await benchFresh(settings?.config);
  const directory = resolve(options.disk ?? settings?.dataDir ?? options.dataDir ?? 'data');
  const disk = await measureDisk(directory);
  const power = (REFERENCE.power * gflops) / REFERENCE.gflops;
  if (options.json) return printJson({ devices, gflops, power, disk: { directory, ...disk } });
  printLines(
    ...devices.map(({ name, memoryBytes }) => `device      ${name}, ${formatBytes(memoryBytes)}`),
    `training    ${gflops.toFixed(1)} GFLOP/s (forward, backward and optimiser, 6 FLOP per parameter and token)`,
    `power       ${power.toPrecision(3)} (an RTX 4090 at its fp32 rate would be ${REFERENCE.power})`,
    `disk write  ${formatBytes(disk.writeBytesPerSecond)}/s to ${directory}, on the disk`,
    `disk free   ${formatBytes(disk.freeBytes)}`,
  );
}

function readWorker(options: CommonOptions) {
  const path = options.config ?? defaultConfigPath('worker');
  if (options.config === undefined && !existsSync(path)) return undefined;
  return loadRole('worker', { ...options, config: path });
}

/** Measures anew, whatever a worker on this machine remembers of an earlier time. */
async function benchFresh(config: Partial<WorkerConfig> = {}) {
  const { device: wanted, threads = 0, python: interpreter, sandbox, limits } = config;
  const dataDir = await mkdtemp(join(tmpdir(), 'emeth-measure-'));
  const logger = silentLogger;
  try {
    const trainers = await openTrainers({ python: interpreter, sandbox, limits, dir: dataDir }, logger);
    const { python, open: openChild } = trainers;
    const device = wanted ?? (python.cudaDevices.length > 0 ? 'cuda' : 'cpu');
    const devices = listDevices(device, python);
    return { devices, gflops: await measureSpeed({ device, devices, threads, dataDir }, { openChild, logger }) };
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Writes a file until it is on the disk, and removes it. */
async function measureDisk(directory: string): Promise<{ writeBytesPerSecond: number; freeBytes: number }> {
  await mkdir(directory, { recursive: true });
  const { bavail, bsize } = await statfs(directory);
  const path = join(directory, `measure-${randomUUID()}`);
  // Random, so that no file system compresses it away.
  const chunk = randomBytes(CHUNK_BYTES);
  try {
    const startMs = performance.now();
    await using file = await open(path, 'wx');
    for (let written = 0; written < DISK_TEST_BYTES; written += CHUNK_BYTES) await file.write(chunk);
    await file.datasync();
    const seconds = (performance.now() - startMs) / 1000;
    return { writeBytesPerSecond: Math.round(DISK_TEST_BYTES / seconds), freeBytes: bavail * bsize };
  } finally {
    await rm(path, { force: true });
  }
}

/** The devices a worker computes on, as it offers them to its master. */
import { availableParallelism, cpus, totalmem } from 'node:os';
import { AppError } from '../lib/errors';
import type { Offer } from '../protocol/link';
import type { Python } from '../runner/python';

export type DeviceError = { code: 'worker/no-gpu'; device: string; found: number };

/** Lists the devices this worker computes on. Throws `worker/no-gpu` when a configured GPU does not exist. */
export function listDevices(device: string, python: Pick<Python, 'cudaDevices'>): Offer['devices'] {
  if (device === 'cpu') return [{ name: cpuName(), kind: 'cpu', memoryBytes: totalmem() }];
  const found = python.cudaDevices;
  const index = /^cuda:(\d+)$/.exec(device)?.[1];
  const chosen = index === undefined ? found : found.slice(Number(index), Number(index) + 1);
  if (chosen.length > 0) {
    return chosen.map(({ name, memoryBytes }) => ({ name: name.slice(0, 200), kind: 'cuda', memoryBytes }));
  }
  throw new AppError<DeviceError>(
    { code: 'worker/no-gpu', device, found: found.length },
    `The device is set to ${device}, but PyTorch finds ${found.length} GPUs; set device to cpu, or check the driver with nvidia-smi.`,
  );
}

function cpuName(): string {
  return `${cpus()[0]?.model.trim() || 'CPU'} × ${availableParallelism()}`.slice(0, 200);
}

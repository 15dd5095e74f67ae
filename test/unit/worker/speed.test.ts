/** When speed is measured, and when it is remembered. */
import { writeFile } from 'node:fs/promises';
import { silentLogger } from '../../../src/lib/logger';
import type { TrainerSpec } from '../../../src/protocol/trainer';
import { measureSpeed } from '../../../src/worker/speed';
import { FakeTrainer } from '../../support/fake-trainer';
import { openScratch } from '../../support/scratch';

const cpu = { name: 'a cpu', kind: 'cpu' as const, memoryBytes: 1 };
const gpu = { name: 'a gpu', kind: 'cuda' as const, memoryBytes: 1 };

/** A benchmark that reports 10 GFLOP/s and records how it was started. */
function openBench() {
  const specs: TrainerSpec[] = [];
  const openChild = (spec: TrainerSpec) => {
    specs.push(spec);
    return new FakeTrainer(spec, [], [{ type: 'benched', gflops: 10, deviceName: 'x', memoryBytes: 1 }]);
  };
  return { specs, deps: { openChild, logger: silentLogger } };
}

describe('measureSpeed', () => {
  test('default: measured once per device and number of threads', async () => {
    await using scratch = await openScratch();
    const { specs, deps } = openBench();
    const options = { dataDir: scratch.path, device: 'cpu', devices: [cpu], threads: 2 };
    expect(await measureSpeed(options, deps)).toBe(10);
    expect(await measureSpeed(options, deps)).toBe(10);
    expect(specs).toHaveLength(1);
    await measureSpeed({ ...options, threads: 1 }, deps);
    expect(specs).toHaveLength(2);
  });

  test('several GPUs: one is measured and counts for all', async () => {
    await using scratch = await openScratch();
    const { specs, deps } = openBench();
    const options = { dataDir: scratch.path, device: 'cuda', devices: [gpu, gpu, gpu], threads: 2 };
    expect(await measureSpeed(options, deps)).toBe(30);
    expect(specs[0]?.device).toBe('cuda:0');
  });

  test('damaged file: measured again', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('speed.json'), '{"of":');
    const { deps } = openBench();
    expect(await measureSpeed({ dataDir: scratch.path, device: 'cpu', devices: [cpu], threads: 2 }, deps)).toBe(10);
  });
});

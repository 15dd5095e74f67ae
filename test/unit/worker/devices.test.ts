/** Which devices a worker offers for each setting. */
import { listDevices } from '../../../src/worker/devices';

const gpu = (name: string) => ({ name, memoryBytes: 8e9 });
const twoGpus = { cudaDevices: [gpu('first'), gpu('second')] };

describe('listDevices', () => {
  test.each([
    ['cuda', ['first', 'second']],
    ['cuda:0', ['first']],
    ['cuda:1', ['second']],
  ])('device %s: the GPUs it names', (device, names) => {
    expect(listDevices(device, twoGpus)).toEqual(names.map((name) => ({ ...gpu(name), kind: 'cuda' })));
  });

  test('device cpu: its name and the memory of the machine', () => {
    expect(listDevices('cpu', twoGpus)).toEqual([
      { name: expect.stringContaining('×'), kind: 'cpu', memoryBytes: expect.any(Number) },
    ]);
  });

  test.each(['cuda', 'cuda:2'])('device %s without such a GPU: worker/no-gpu', (device) => {
    const python = device === 'cuda' ? { cudaDevices: [] } : twoGpus;
    expect(() => listDevices(device, python)).toThrow(
      expect.objectContaining({ detail: expect.objectContaining({ code: 'worker/no-gpu', device }) }),
    );
  });
});

/** Which interpreter is chosen, and the errors for one that cannot run the package. */
import { chmod, writeFile } from 'node:fs/promises';
import { findPython } from '../../../src/runner/python';
import { openScratch } from '../../support/scratch';
import { testPython } from '../../support/tiny-job';

/** A program that answers the probe with these facts. */
async function fakePython(path: string, facts: object): Promise<string> {
  const all = { version: '3.12.1', missing: '', torch: '2.9.0', cudaDevices: [], ...facts };
  await writeFile(path, `#!/bin/sh\necho '${JSON.stringify(all)}'\n`);
  await chmod(path, 0o755);
  return path;
}

describe('findPython', () => {
  const given = process.env.EMETH_PYTHON;
  beforeEach(() => {
    delete process.env.EMETH_PYTHON;
  });
  afterAll(() => {
    if (given) process.env.EMETH_PYTHON = given;
  });

  test('configured interpreter: returned with the facts of its probe', async () => {
    const python = await findPython(testPython);
    expect(python).toMatchObject({ path: testPython, cudaDevices: expect.any(Array) });
    expect(python.torch).toMatch(/^\d+\.\d+/);
  });

  test('EMETH_PYTHON set: it overrides the configuration', async () => {
    await using scratch = await openScratch();
    const path = await fakePython(scratch.file('python'), {});
    process.env.EMETH_PYTHON = path;
    expect((await findPython(testPython)).path).toBe(path);
  });

  test.each([
    ['runner/no-torch', { missing: 'torch' }, 'npm run setup'],
    ['runner/old-python', { version: '3.9.18' }, '3.10 or newer'],
  ])('interpreter with a problem: %s', async (code, facts, remedy) => {
    await using scratch = await openScratch();
    const path = await fakePython(scratch.file('python'), facts);
    await expect(findPython(path)).rejects.toMatchObject({
      detail: { code },
      message: expect.stringContaining(remedy),
    });
  });

  test('interpreter missing: runner/no-python', async () => {
    await expect(findPython('/no/such/python')).rejects.toMatchObject({
      detail: { code: 'runner/no-python', tried: '/no/such/python' },
      message: expect.stringContaining('EMETH_PYTHON'),
    });
  });
});

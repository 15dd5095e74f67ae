/** Which interpreter is chosen, and the errors for one that cannot run the package. */
import { chmod, writeFile } from 'node:fs/promises';
import { findPython } from '../../../src/runner/python';
import { openScratch } from '../../support/scratch';
import { testPython } from '../../support/tiny-job';

/** A program that answers the probe with these facts. */
function fakePython(path: string, facts: object, greeting = ''): Promise<string> {
  const all = { version: '3.12.1', missing: '', torch: '2.9.0', cudaDevices: [], lacking: [], ...facts };
  return program(path, `${greeting}echo '${JSON.stringify(all)}'`);
}

async function program(path: string, script: string, mode = 0o755): Promise<string> {
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, mode);
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
    expect(python).toMatchObject({ path: testPython, cudaDevices: expect.any(Array), lacking: [] });
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

  test('greeting on stdout, as of conda: ignored', async () => {
    await using scratch = await openScratch();
    const path = await fakePython(scratch.file('python'), {}, "echo 'Activating base …'; echo '{'; ");
    expect(await findPython(path)).toMatchObject({ version: '3.12.1', torch: '2.9.0' });
  });

  test.each([
    ['not there', '', /python does not exist; install Python 3.10 or newer, or set EMETH_PYTHON to one\.$/],
    ['another program', 'echo A new shell', /python is not Python: it answers "A new shell"; install/],
    ['one that fails', 'echo no luck >&2; exit 3', /python does not run as Python \(no luck\); install/],
  ])('interpreter is %s: runner/no-python with the remedy', async (_name, made, words) => {
    await using scratch = await openScratch();
    const path = scratch.file('python');
    if (made !== '') await program(path, made);
    await expect(findPython(path)).rejects.toMatchObject({
      detail: { code: 'runner/no-python', tried: path },
      message: expect.stringMatching(words),
    });
  });

  test('interpreter that may not be run: runner/no-python', async () => {
    await using scratch = await openScratch();
    const path = await program(scratch.file('python'), 'exit', 0o644);
    await expect(findPython(path)).rejects.toThrow(/may not be run by this account/);
  });
});

/** The doctor's look at the packages that Python children import. */
import { chmod, writeFile } from 'node:fs/promises';
import { checkPackages } from '../../../../src/commands/setup/doctor-checks';
import { openScratch } from '../../../support/scratch';
import { realPython } from '../../../support/tiny-job';

const python = { path: realPython, version: '3', torch: '2', cudaDevices: [], lacking: [] };

test('packages as set up: all load, in the tested versions', async () => {
  expect(await checkPackages(python)).toMatchObject({
    status: 'ok',
    value: expect.stringMatching(/^1\d packages are there/),
  });
});

test('a package that is installed and does not load: failed, with its words', async () => {
  await using scratch = await openScratch();
  await writeFile(scratch.file('pyarrow.py'), 'raise ImportError("libstdc++.so.6 is too old")');
  const path = scratch.file('python');
  await writeFile(path, `#!/bin/sh\nPYTHONPATH='${scratch.path}' exec '${realPython}' "$@"\n`);
  await chmod(path, 0o755);
  expect(await checkPackages({ ...python, path })).toMatchObject({
    status: 'failed',
    value: 'pyarrow: libstdc++.so.6 is too old',
    code: 'doctor/package-broken',
    remedy: expect.stringContaining('npm run setup'),
  });
});

test('another version: a warning with both', async () => {
  const list = async () => [{ name: 'peft', wanted: '==0.21.0', version: '0.9.0', isWanted: false, problem: '' }];
  expect(await checkPackages(python, list)).toMatchObject({
    status: 'warning',
    value: 'peft 0.9.0, tested with ==0.21.0',
    code: 'doctor/other-version',
  });
});

test('no interpreter: failed, with the remedy', async () => {
  const check = await checkPackages({ ...python, path: '/nowhere/python' });
  expect(check).toMatchObject({ status: 'failed', remedy: expect.stringContaining('npm run setup') });
});

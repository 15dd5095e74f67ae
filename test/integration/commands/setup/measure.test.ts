/** What `emeth measure` finds on a real machine. */
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { runInProcess } from '../../../support/cli';
import { openScratch } from '../../../support/scratch';
import { testPython } from '../../../support/tiny-job';

jest.setTimeout(120_000);

test('worker with a configuration: speed, power and disk, and no file left', async () => {
  await using scratch = await openScratch();
  const path = scratch.file('worker.json');
  const settings = { python: testPython, master_node_url: 'http://127.0.0.1:9', device: 'cpu', threads: 1 };
  await writeFile(path, JSON.stringify(settings), { mode: 0o600 });
  const disk = scratch.file('disk');
  const { status, out } = await runInProcess('measure', '--config', path, '--disk', disk, '--json');
  expect(status).toBe(0);
  const found = JSON.parse(out);
  expect(found).toMatchObject({ devices: [{ kind: 'cpu' }], disk: { directory: disk } });
  expect(found.gflops).toBeGreaterThan(0);
  expect(found.power).toBeCloseTo(found.gflops / 82.58, 6);
  expect(found.disk.writeBytesPerSecond).toBeGreaterThan(0);
  expect(found.disk.freeBytes).toBeGreaterThan(0);
  expect(readdirSync(disk)).toEqual([]);
});

test('GPU that is not there: the error says how many were found', async () => {
  await using scratch = await openScratch();
  const path = scratch.file('worker.json');
  const settings = { python: testPython, master_node_url: 'http://127.0.0.1:9', device: 'cuda:99' };
  await writeFile(path, JSON.stringify(settings), { mode: 0o600 });
  const { status, talk } = await runInProcess('measure', '--config', path, '--disk', scratch.path);
  expect(status).not.toBe(0);
  expect(talk).toContain('cuda:99');
});

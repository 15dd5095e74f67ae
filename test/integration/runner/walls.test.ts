/** Real Python children behind walls do their work as ever, and are stopped where they go too far. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { silentLogger as logger } from '../../../src/lib/logger';
import { defaultLimits } from '../../../src/runner/child-limits';
import { bestSandbox } from '../../../src/runner/find-sandbox';
import { openTrainer } from '../../../src/runner/trainer';
import { openTrainers } from '../../../src/runner/trainers';
import { childrenOf, waitUntilGone } from '../../support/processes';
import { openScratch } from '../../support/scratch';
import { realPython, tinyParams, tinyText } from '../../support/tiny-job';

jest.setTimeout(120_000);

const machine = { device: 'cpu', threads: 1 } as const;
const before = { ...process.env };
beforeEach(() => {
  Object.assign(process.env, { EMETH_PYTHON: realPython, EMETH_SANDBOX: 'require' });
});
afterEach(() => {
  process.env = { ...before };
});

function trainSpec(workDir: string, processes = 1) {
  const job = { jobId: 'test', params: tinyParams, vocabSize: 256, totalBlocks: 100, microBatch: 4 };
  return { kind: 'train', ...machine, workDir, ...job, processes } as const;
}

test('round of two processes: they meet inside, and see only what they are given', async () => {
  await using scratch = await openScratch();
  const trainers = await openTrainers({ dir: scratch.path }, logger);
  await writeFile(scratch.file('data.txt'), tinyText(16));
  const dirs = { master: scratch.file('master'), worker: scratch.file('worker') };
  const job = { jobId: 'test', params: tinyParams };
  await using coordinator = trainers.open({ kind: 'coordinate', ...machine, ...job, workDir: dirs.master });
  await coordinator.run({ type: 'prepare', dataset: scratch.file('data.txt'), maxBytes: 1 << 20 }, 'prepared');
  const { theta } = await coordinator.run({ type: 'init', out: `${dirs.master}/theta` }, 'initialised');
  const { shard } = await coordinator.run({ type: 'cut', start: 0, end: 6, out: `${dirs.master}/shard` }, 'cut');

  await using trainer = trainers.open(trainSpec(dirs.worker, 2));
  const round = { type: 'round.run', round: 0, start: 0, shard: shard.path, theta } as const;
  const from = { path: theta.path, sha256: theta.sha256 };
  const done = await trainer.run({ ...round, theta: from, out: `${dirs.worker}/update` }, 'round.done');
  expect(done.tokens).toBe(6 * 4 * 16);
  const seen = await coordinator.run({ type: 'inspect', update: done.update.path, theta: theta.path }, 'inspected');
  expect(seen).toMatchObject({ ok: true, endTheta: done.endTheta });
  expect(
    await Promise.all((await readdir(scratch.file('handed'))).map((name) => readdir(scratch.file(`handed/${name}`)))),
  ).toEqual([[], []]);
});

test('file outside is missing: the command fails with the name it was given', async () => {
  await using scratch = await openScratch();
  const trainers = await openTrainers({ dir: scratch.path }, logger);
  await using trainer = trainers.open(trainSpec(scratch.file('job')));
  const theta = { path: scratch.file('none'), sha256: '0'.repeat(64) };
  const round = { type: 'round.run', round: 0, start: 0, shard: scratch.file('none'), theta } as const;
  const running = trainer.run({ ...round, out: scratch.file('job/update') }, 'round.done');
  await expect(running).rejects.toMatchObject({
    detail: { code: 'model/bad-file' },
    message: expect.stringContaining(scratch.file('none')),
  });
  trainer.kill();
  await waitUntilGone(trainer.pid);
  expect(await trainer.ended).toMatchObject({ detail: { code: 'runner/child-crashed', signal: 'SIGKILL' } });
  expect(await readdir(scratch.file('handed'))).toEqual([]);
});

test('node killed: its child ends, with all processes inside', async () => {
  await using scratch = await openScratch();
  const script = join(__dirname, '..', '..', 'fixtures', 'open-trainer.ts');
  const spec = JSON.stringify(trainSpec(scratch.file('job'), 2));
  const args = ['-r', 'ts-node/register/transpile-only', script, spec, realPython, scratch.path];
  // Jest's variables are not those that a process inherits.
  const node = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: process.env });
  await once(createInterface({ input: node.stdout }), 'line');
  const inside = descendantsOf(node.pid ?? 0);
  node.kill('SIGKILL');
  expect(inside.length).toBe(6); // bubblewrap twice, the child, torchrun and its two processes
  for (const pid of inside) await waitUntilGone(pid);
});

test('disk nearly full: the child is stopped, and its error says why', async () => {
  await using scratch = await openScratch();
  const sandbox = await bestSandbox(realPython);
  const walls = { sandbox, limits: defaultLimits, dir: scratch.path, floorBytes: Number.MAX_SAFE_INTEGER };
  const trainer = openTrainer(trainSpec(scratch.file('job')), { python: realPython, logger, walls });
  expect(await trainer.ended).toMatchObject({
    detail: { code: 'runner/child-crashed', signal: 'SIGKILL' },
    message: expect.stringContaining('nearly full'),
  });
});

test('process of several has too little memory: out of memory, as of a single one', async () => {
  await using scratch = await openScratch();
  await mkdir(scratch.file('job'));
  await writeFile(scratch.file('python'), '#!/bin/sh\nread spec; echo "Out of memory: too small" >&2; exit 75\n');
  await chmod(scratch.file('python'), 0o755);
  const child = openTrainer(trainSpec(scratch.file('job'), 2), { python: scratch.file('python'), logger });
  expect(await child.ended).toMatchObject({ detail: { code: 'train/oom' }, message: 'Out of memory: too small' });
});

test('answer names a file of the owner: refused, and the child is stopped', async () => {
  await using scratch = await openScratch();
  await mkdir(scratch.file('job'));
  const file = { path: scratch.file('key'), sha256: 'a'.repeat(64), bytes: 1 };
  const answer = { type: 'initialised', id: 1, theta: file, parameters: 1 };
  const ready = { type: 'ready', device: 'cpu', threads: 1, parameters: 1 };
  const say = (event: object) => `echo '${JSON.stringify(event)}' >&3`;
  await writeFile(scratch.file('python'), `#!/bin/sh\n${say(ready)}\nread spec; read command\n${say(answer)}\ncat\n`);
  await chmod(scratch.file('python'), 0o755);
  const spec = {
    kind: 'coordinate',
    ...machine,
    jobId: 'test',
    params: tinyParams,
    workDir: scratch.file('job'),
  } as const;
  const child = openTrainer(spec, { python: scratch.file('python'), logger });
  const running = child.run({ type: 'init', out: scratch.file('job/theta') }, 'initialised');
  await expect(running).rejects.toMatchObject({ detail: { code: 'runner/foreign-file', path: file.path } });
  expect(await child.ended).toMatchObject({ detail: { signal: 'SIGKILL' } });
});

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

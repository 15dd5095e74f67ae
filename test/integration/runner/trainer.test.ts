/** The Python child for real: commands, failures, crashes, and its end with its parent. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { silentLogger } from '../../../src/lib/logger';
import type { TrainerSpec } from '../../../src/protocol/trainer';
import { openTrainer } from '../../../src/runner/trainer';
import { openTestCoordinator } from '../../support/coordinator';
import { isRunning, waitUntilGone } from '../../support/processes';
import { openScratch } from '../../support/scratch';
import { realPython, tinyParams } from '../../support/tiny-job';

jest.setTimeout(60_000);

const deps = { python: realPython, logger: silentLogger };

function trainSpec(workDir: string, changes: { totalBlocks?: number; device?: string } = {}): TrainerSpec {
  const { totalBlocks = 100, device = 'cpu' } = changes;
  const fixed = {
    kind: 'train',
    threads: 1,
    jobId: 'test',
    params: tinyParams,
    vocabSize: 256,
    microBatch: 4,
  } as const;
  return { ...fixed, device, workDir, totalBlocks };
}

describe('openTrainer', () => {
  test('default: a round is prepared, cut and trained', async () => {
    await using scratch = await openScratch();
    await using coordinator = await openTestCoordinator(scratch.path, tinyParams);
    const shard = await coordinator.cut(0, 6);
    await using trainer = openTrainer(trainSpec(scratch.path), deps);
    expect((await trainer.ready).threads).toBe(1);

    const { path, sha256 } = coordinator.theta;
    const round = { type: 'round.run', round: 0, start: 0, shard: shard.path, theta: { path, sha256 } } as const;
    const done = await trainer.run({ ...round, out: scratch.file('update') }, 'round.done');
    expect(done.tokens).toBe(6 * 4 * 16);
    expect(existsSync(done.update.path)).toBe(true);
  });

  test('update judged: norm, cosines, gain, distance and weights', async () => {
    await using scratch = await openScratch();
    await using coordinator = await openTestCoordinator(scratch.path, tinyParams);
    await using trainer = openTrainer(trainSpec(scratch.path), deps);
    const shard = (await coordinator.cut(0, 12)).path;
    const theta = coordinator.theta.path;
    const round = {
      type: 'round.run',
      round: 0,
      start: 0,
      shard,
      theta: { path: theta, sha256: coordinator.theta.sha256 },
    } as const;
    const done = await trainer.run({ ...round, out: scratch.file('update') }, 'round.done');
    const update = done.update.path;

    const { child } = coordinator;
    const question = { others: [update], gain: { theta, shard, sequences: 4 } };
    const seen = await child.run({ type: 'inspect', update, ...question }, 'inspected');
    expect(seen).toMatchObject({ ok: true, cosines: [expect.closeTo(1)] });
    expect(seen.gain).toBeGreaterThan(0);
    expect(await child.run({ type: 'compare', update, expected: update }, 'compared')).toMatchObject({ distance: 0 });
    const out = { thetaOut: scratch.file('t'), outerOut: scratch.file('o'), deltaOut: scratch.file('d') };
    const updates = [{ path: update, weight: done.tokens }];
    const fold = { type: 'fold' as const, theta, updates, scale: 1, weights: [0.5], ...out };
    expect(await child.run(fold, 'folded')).toMatchObject({ weights: [1] });
  });

  test('command fails: its code is thrown and the child goes on', async () => {
    await using scratch = await openScratch();
    await using trainer = openTrainer(trainSpec(scratch.path), deps);
    const theta = { path: scratch.file('none'), sha256: '0'.repeat(64) };
    const round = { type: 'round.run', round: 0, start: 0, shard: scratch.file('none'), theta } as const;
    const run = () => trainer.run({ ...round, out: scratch.file('update') }, 'round.done');
    await expect(run()).rejects.toMatchObject({ detail: { code: 'model/bad-file' } });
    await expect(run()).rejects.toMatchObject({ detail: { code: 'model/bad-file' } });
  });

  test('child killed: runner/child-crashed', async () => {
    await using scratch = await openScratch();
    const trainer = openTrainer(trainSpec(scratch.path), deps);
    await trainer.ready;
    const waiting = trainer.next('benched');
    trainer.kill();
    await expect(waiting).rejects.toMatchObject({ detail: { code: 'runner/child-crashed', signal: 'SIGKILL' } });
    expect(await trainer.ended).toMatchObject({ detail: { code: 'runner/child-crashed' } });
    await expect(trainer.next('ready')).rejects.toMatchObject({ detail: { code: 'runner/child-crashed' } });
    await trainer[Symbol.asyncDispose]();
  });

  test('device does not exist: runner/bad-spec with the output of the child', async () => {
    await using scratch = await openScratch();
    await using trainer = openTrainer(trainSpec(scratch.path, { device: 'cuda:77' }), deps);
    await expect(trainer.ready).rejects.toMatchObject({
      detail: { code: 'runner/bad-spec' },
      message: expect.stringContaining('cuda:77'),
    });
    await trainer.ended;
    expect(readFileSync(join(scratch.path, 'child.log'), 'utf8')).toContain('cuda:77');
  });

  test('interpreter missing: runner/child-crashed', async () => {
    await using scratch = await openScratch();
    await using trainer = openTrainer(trainSpec(scratch.path), { ...deps, python: scratch.file('python') });
    await expect(trainer.ready).rejects.toMatchObject({
      detail: { code: 'runner/child-crashed' },
      message: expect.stringContaining('ENOENT'),
    });
  });

  test('disposed: the child has ended without a crash', async () => {
    await using scratch = await openScratch();
    const trainer = openTrainer(trainSpec(scratch.path), deps);
    await trainer.ready;
    const { pid } = trainer;
    await trainer[Symbol.asyncDispose]();
    expect(await trainer.ended).toBeUndefined();
    expect(isRunning(pid)).toBe(false);
  });

  test('parent killed: the child ends', async () => {
    await using scratch = await openScratch();
    const script = join(__dirname, '..', '..', 'fixtures', 'open-trainer.ts');
    const args = ['-r', 'ts-node/register/transpile-only', script, JSON.stringify(trainSpec(scratch.path)), realPython];
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const childPid = Number(line);
    expect(isRunning(childPid)).toBe(true);
    parent.kill('SIGKILL');
    await waitUntilGone(childPid);
  });
});

/** Two boxes on loopback as one worker: they train what one does, and go on when a process is killed. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { systemClock as clock } from '../../../src/lib/clock';
import { silentLogger as logger } from '../../../src/lib/logger';
import type { Trainer } from '../../../src/runner/trainer';
import { openTrainers } from '../../../src/runner/trainers';
import { findPlace, runMember } from '../../../src/worker/team';
import { openTestCoordinator } from '../../support/coordinator';
import { childrenOf, waitUntilGone } from '../../support/processes';
import { openScratch } from '../../support/scratch';
import { realPython, tinyParams } from '../../support/tiny-job';

jest.setTimeout(300_000);

const before = { ...process.env };
beforeEach(() => {
  Object.assign(process.env, { EMETH_PYTHON: realPython, EMETH_SANDBOX: 'require' });
});
afterEach(() => {
  process.env = { ...before };
});

test('two boxes, a process of one is killed: both begin anew, with the same result', async () => {
  await using scratch = await openScratch();
  const params = { ...tinyParams, codec: 'fp32' as const };
  await using coordinator = await openTestCoordinator(scratch.path, params);
  const shard = await coordinator.cut(0, 6);
  const rendezvous = `127.0.0.1:${await freePort()}`;
  const trainers = await openTrainers({ dir: scratch.file('data') }, logger);
  const machine = { device: 'cpu', threads: 1, processes: 1 } as const;

  const stop = new AbortController();
  const children: Trainer[] = [];
  const member = runMember(
    { ...machine, threads: () => 1, dataDir: scratch.file('data/second'), teamMs: 240_000, place: await place(1) },
    { clock, logger, openChild: (spec) => children[children.push(trainers.open(spec)) - 1] as Trainer },
    stop.signal,
  );
  const { prepared, theta } = coordinator;
  const job = { jobId: 'test', params, vocabSize: prepared.vocabSize, totalBlocks: 100, microBatch: 4 };
  const open = async (name: string, boxes: number) => {
    const workDir = scratch.file(`data/${name}`);
    const team = boxes > 1 ? await place(0) : undefined;
    const trainer = trainers.open({ kind: 'train', ...machine, ...job, workDir, team, teamMs: 240_000 });
    const from = { path: theta.path, sha256: theta.sha256 };
    const command = { type: 'round.run', round: 0, start: 0, shard: shard.path, theta: from } as const;
    return { trainer, run: () => trainer.run({ ...command, out: `${workDir}/update` }, 'round.done') };
  };
  function place(rank: number) {
    return findPlace({ boxes: 2, rank, rendezvous });
  }

  const solo = await open('solo', 1);
  const expected = (await solo.run()).update.path;
  const first = await open('first', 2);
  const update = (await first.run()).update;
  const { distance } = await coordinator.child.run({ type: 'compare', update: update.path, expected }, 'compared');
  expect(distance).toBeLessThan(1e-3);

  const pids = [first.trainer.pid, children[0]?.pid ?? 0].flatMap(descendantsOf);
  process.kill(leafOf(children[0]?.pid ?? 0), 'SIGKILL');
  await expect(first.run()).rejects.toMatchObject({ detail: { code: 'runner/child-crashed' } });
  expect(await first.trainer.ended).toMatchObject({ detail: { code: 'runner/child-crashed' } });
  for (const pid of pids) await waitUntilGone(pid);
  const second = await open('first-again', 2);
  expect((await second.run()).update.sha256).toBe(update.sha256);
  await second.trainer[Symbol.asyncDispose]();
  stop.abort();
  await member;
  for (const child of children) await waitUntilGone(child.pid);
  await solo.trainer[Symbol.asyncDispose]();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

/** A process that trains: it has started no other. */
function leafOf(pid: number): number {
  return descendantsOf(pid).find((child) => childrenOf(child).length === 0) ?? 0;
}

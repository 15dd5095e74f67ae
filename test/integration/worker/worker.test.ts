import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { receiptTypes } from '../../../src/protocol/link';
import { LINK_DOMAIN } from '../../../src/protocol/storage';
import { openTestCoordinator, type TestCoordinator } from '../../support/coordinator';
import { until } from '../../support/link-pair';
import { isRunning, waitUntilGone } from '../../support/processes';
import { openScratch } from '../../support/scratch';
import { slowParams } from '../../support/tiny-job';
import { openWorkerRig, type WorkerRig } from '../../support/worker-rig';

// Some start Python three times.
jest.setTimeout(120_000);

let dir: Awaited<ReturnType<typeof openScratch>>;
let coordinator: TestCoordinator;
beforeAll(async () => {
  dir = await openScratch();
  coordinator = await openTestCoordinator(dir.path, slowParams);
});
afterAll(async () => {
  await coordinator[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

/** Folds one update into the next weights. */
async function fold(update: string, round: number) {
  const out = (name: string) => join(coordinator.dir, `${name}-${round}`);
  return coordinator.child.run(
    {
      type: 'fold',
      theta: coordinator.theta.path,
      updates: [{ path: update, weight: 1 }],
      scale: 1,
      thetaOut: out('theta'),
      outerOut: out('outer'),
      deltaOut: out('delta'),
    },
    'folded',
  );
}

/** A child that is in the middle of a round. */
async function midRound(rig: WorkerRig) {
  await rig.heard('lease.progress');
  const child = rig.children.at(-1);
  if (!child) throw new Error('no child was started');
  return child;
}

const LONG = { round: 0, start: 0, end: 300 };
/** For a round that nobody sees the end of: however late the test comes, it comes in the middle. */
const LONGER = { round: 0, start: 0, end: 900 };

describe('openWorker', () => {
  test('default: two rounds with a cut in each, the second from a step', async () => {
    await using rig = await openWorkerRig(coordinator);
    const { proxy, server } = rig;
    await rig.open();
    await rig.lease('a', { ...LONG, theta: coordinator.theta });
    const child = await midRound(rig);
    // However long it takes to connect again, the round is not over by then.
    process.kill(child.pid, 'SIGSTOP');
    proxy.cut();
    await until(() => server.connects.length >= 2);
    expect(server.connects.at(-1)?.offer.held).toEqual({ jobId: rig.job, leaseId: 'a' });
    process.kill(child.pid, 'SIGCONT');

    const first = await rig.heard('lease.commit');
    expect(first).toMatchObject({ leaseId: 'a', tokens: 300 * 4 * 16 });
    proxy.cut();
    const again = await rig.heard('lease.commit');
    expect(again).toEqual(first);
    expect(server.connects.at(-1)?.offer.held?.update).toEqual(first.update);
    const update = await rig.pull(first.update);
    await rig.send({ type: 'update.verdict', leaseId: 'a', accepted: true });
    await until(() => rig.worker.state.kind === 'ready');

    const folded = await fold(update, 0);
    const delta = { ...folded.delta, base: coordinator.theta.sha256 };
    await rig.lease('b', { round: 1, start: 300, end: 310, theta: folded.theta, delta });
    const second = await rig.heard('lease.commit');
    expect(second.leaseId).toBe('b');
    // The whole weights never travelled again, and the child is the one of the first round.
    expect(await rig.blobs.stat(folded.theta.sha256)).toBeUndefined();
    expect(rig.children).toEqual([child]);
  });

  test('survives kill -9 of the Python child: the round is done again from its start', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONG, theta: coordinator.theta });
    const child = await midRound(rig);
    process.kill(child.pid, 'SIGKILL');
    const committed = await rig.heard('lease.commit');
    expect(committed.tokens).toBe(300 * 4 * 16);
    expect(rig.children).toHaveLength(2);
    // What the second child trained is what an undisturbed one would have.
    await rig.send({ type: 'update.verdict', leaseId: 'a', accepted: true });
    await rig.lease('b', { ...LONG, theta: coordinator.theta });
    expect((await rig.heard('lease.commit')).endTheta).toBe(committed.endTheta);
  });

  test('when the child crashes twice: the lease is given back with its last words', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    process.kill((await midRound(rig)).pid, 'SIGKILL');
    await until(() => rig.children.length === 2);
    await rig.children[1]?.ready;
    process.kill(rig.children[1]?.pid ?? 0, 'SIGKILL');
    expect(await rig.heard('lease.failed')).toMatchObject({ leaseId: 'a', code: 'runner/child-crashed' });
    await rig.lease('b', { round: 0, start: 0, end: 4, theta: coordinator.theta });
    expect((await rig.heard('lease.commit')).leaseId).toBe('b');
  });

  test('when the lease is revoked: the same child goes on with the next one, from the weights it holds', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    await midRound(rig);
    await rig.send({ type: 'lease.revoke', leaseId: 'a', reason: 'too slow' });
    await until(() => rig.worker.state.kind === 'ready');
    await rig.lease('b', { round: 0, start: 4, end: 8, theta: coordinator.theta });
    expect((await rig.heard('lease.commit')).leaseId).toBe('b');
    expect(rig.children).toHaveLength(1);
  });

  test('when the job is closed: child, files and blobs are gone', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    const { pid } = await midRound(rig);
    await rig.send({ type: 'job.close', jobId: rig.job, reason: 'canceled' });
    await waitUntilGone(pid);
    const files = () => readdirSync(join(rig.dataDir, 'blobs'), { recursive: true, withFileTypes: true });
    await until(() => !existsSync(join(rig.dataDir, 'jobs', rig.job)) && files().every((entry) => !entry.isFile()));
    expect(rig.worker.state.kind).toBe('free');
  });

  test('when a receipt comes: it is kept if the master signed it', async () => {
    await using rig = await openWorkerRig(coordinator);
    const { server } = rig;
    await until(() => server.connects.length > 0);
    const worker = server.connects[0]!.address;
    const receipt = { jobId: rig.job, round: 3, worker, tokens: 64, totalTokens: 128 };
    const signature = await server.wallet.signTyped(LINK_DOMAIN, receiptTypes, { ...receipt, expectedWei: 5n });
    await rig.send({ type: 'receipt', receipt: { ...receipt, expectedWei: '6' }, signature });
    await rig.send({ type: 'receipt', receipt: { ...receipt, expectedWei: '5' }, signature });
    const path = join(rig.dataDir, 'receipts.jsonl');
    await until(() => existsSync(path));
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { ...receipt, expectedWei: '5', master: server.wallet.address, chainId: 31337, signature },
    ]);
  });

  test('when there is no work for timeout.idle: the child ends, and the next lease starts another', async () => {
    await using rig = await openWorkerRig(coordinator, { idle: 300 });
    await rig.open();
    await waitUntilGone(rig.children[0]!.pid);
    await rig.lease('a', { round: 0, start: 0, end: 4, theta: coordinator.theta });
    expect((await rig.heard('lease.commit')).leaseId).toBe('a');
    expect(rig.children).toHaveLength(2);
  });

  test('when disposed in mid-round: no child is left', async () => {
    const rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    const { pid } = await midRound(rig);
    await rig[Symbol.asyncDispose]();
    expect(isRunning(pid)).toBe(false);
  });
});

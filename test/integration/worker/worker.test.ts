/** The worker with real Python: cuts, crashes, revoked leases, receipts and what it leaves behind. */
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

// Some tests start Python three times.
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

/** Waits until a child is in the middle of a round, and returns it. */
async function midRound(rig: WorkerRig) {
  await rig.received('lease.progress');
  const child = rig.children.at(-1);
  if (!child) throw new Error('no child was started');
  return child;
}

const LONG = { round: 0, start: 0, end: 300 };
/** A round so long that even a slow test interrupts it in the middle. */
const LONGER = { round: 0, start: 0, end: 900 };

describe('openWorker', () => {
  test('two rounds with a cut in each: both committed, the second from a delta', async () => {
    await using rig = await openWorkerRig(coordinator);
    const { proxy, server } = rig;
    await rig.open();
    await rig.lease('a', { ...LONG, theta: coordinator.theta });
    const child = await midRound(rig);
    // Stopped, the round cannot end before the worker has reconnected.
    process.kill(child.pid, 'SIGSTOP');
    proxy.cut();
    await until(() => server.connects.length >= 2);
    expect(server.connects.at(-1)?.offer.held).toEqual({ jobId: rig.job, leaseId: 'a' });
    process.kill(child.pid, 'SIGCONT');

    const first = await rig.received('lease.commit');
    expect(first).toMatchObject({ leaseId: 'a', tokens: 300 * 4 * 16 });
    proxy.cut();
    const again = await rig.received('lease.commit');
    expect(again).toEqual(first);
    expect(server.connects.at(-1)?.offer.held?.update).toEqual(first.update);
    const update = await rig.pull(first.update);
    await rig.send({ type: 'update.verdict', leaseId: 'a', accepted: true });
    await until(() => rig.worker.state.kind === 'ready');

    const folded = await fold(update, 0);
    const delta = { ...folded.delta, base: coordinator.theta.sha256 };
    await rig.lease('b', { round: 1, start: 300, end: 310, theta: folded.theta, delta });
    const second = await rig.received('lease.commit');
    expect(second.leaseId).toBe('b');
    // The whole weights were not sent again, and the child is still the first one.
    expect(await rig.blobs.stat(folded.theta.sha256)).toBeUndefined();
    expect(rig.children).toEqual([child]);
  });

  test('Python child killed: the round is trained again from its start', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONG, theta: coordinator.theta });
    const child = await midRound(rig);
    process.kill(child.pid, 'SIGKILL');
    const committed = await rig.received('lease.commit');
    expect(committed.tokens).toBe(300 * 4 * 16);
    expect(rig.children).toHaveLength(2);
    // The second child trained the same as an undisturbed one.
    await rig.send({ type: 'update.verdict', leaseId: 'a', accepted: true });
    await rig.lease('b', { ...LONG, theta: coordinator.theta });
    expect((await rig.received('lease.commit')).endTheta).toBe(committed.endTheta);
  });

  test('child crashes twice: the lease fails', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    process.kill((await midRound(rig)).pid, 'SIGKILL');
    await until(() => rig.children.length === 2);
    await rig.children[1]?.ready;
    process.kill(rig.children[1]?.pid ?? 0, 'SIGKILL');
    expect(await rig.received('lease.failed')).toMatchObject({ leaseId: 'a', code: 'runner/child-crashed' });
    await rig.lease('b', { round: 0, start: 0, end: 4, theta: coordinator.theta });
    expect((await rig.received('lease.commit')).leaseId).toBe('b');
  });

  test('lease revoked: the same child trains the next one from the weights it holds', async () => {
    await using rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    await midRound(rig);
    await rig.send({ type: 'lease.revoke', leaseId: 'a', reason: 'too slow' });
    await until(() => rig.worker.state.kind === 'ready');
    await rig.lease('b', { round: 0, start: 4, end: 8, theta: coordinator.theta });
    expect((await rig.received('lease.commit')).leaseId).toBe('b');
    expect(rig.children).toHaveLength(1);
  });

  test('job closed: child, files and blobs are gone', async () => {
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

  test('receipts: only one the master signed is kept', async () => {
    await using rig = await openWorkerRig(coordinator);
    const { server } = rig;
    await until(() => server.connects.length > 0);
    const worker = server.connects[0]!.address;
    const tokens = { tokens: 64, totalTokens: 128, auditTokens: 32, heldTokens: 64 };
    const receipt = { jobId: rig.job, round: 3, worker, ...tokens };
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

  test('no work for timeout.idle: the child stops, and the next lease starts another', async () => {
    await using rig = await openWorkerRig(coordinator, { idle: 300 });
    await rig.open();
    await waitUntilGone(rig.children[0]!.pid);
    await rig.lease('a', { round: 0, start: 0, end: 4, theta: coordinator.theta });
    expect((await rig.received('lease.commit')).leaseId).toBe('a');
    expect(rig.children).toHaveLength(2);
  });

  test('disposed in mid-round: no child is left', async () => {
    const rig = await openWorkerRig(coordinator);
    await rig.open();
    await rig.lease('a', { ...LONGER, theta: coordinator.theta });
    const { pid } = await midRound(rig);
    await rig[Symbol.asyncDispose]();
    expect(isRunning(pid)).toBe(false);
  });
});

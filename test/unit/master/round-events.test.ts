/** What becomes of an open round when its workers come, commit, fail or leave. */
import { AppError } from '../../../src/lib/errors';
import { cut } from '../../../src/link/errors';
import type { Peer } from '../../../src/link/gate';
import type { JobContext } from '../../../src/master/job-context';
import type { JobEvent } from '../../../src/master/job-events';
import { grantRound } from '../../../src/master/leases';
import { handleEvent } from '../../../src/master/round-events';
import type { LiveLease, RoundState } from '../../../src/master/round-state';
import type { MasterMessageIn, WorkerMessage } from '../../../src/protocol/link';
import { BLOCK_TOKENS, playedEndTheta, UNSOUND } from '../../support/master-rig-child';
import { noTraffic } from '../../support/master-rig-worker';
import { settled } from '../../support/stepped-clock';
import { openTestJob, type TestJob } from '../../support/test-job';
import { commit } from '../../support/worker-messages';

type Commit = Extract<WorkerMessage, { type: 'lease.commit' }>;

let rig: TestJob;
let job: JobContext;
let round: RoundState;
let lease: LiveLease;
let peer: Peer;
let sent: MasterMessageIn[];
/** Fetches of updates that the master has begun, each ended by the test. */
let fetches: { resolve(): void; reject(error: Error): void }[];

/** A round with one lease, whose worker does what the test says. */
beforeEach(async () => {
  rig = await openTestJob();
  job = rig.job;
  const [worker] = rig.workers;
  worker!.fates.push('is silent');
  await rig.gather();
  round = (await grantRound(job))!;
  lease = [...round.leases.values()][0]!;
  worker!.leave();
  sent = [];
  fetches = [];
  comeBack();
  await handleNext();
  await handleNext();
});
afterEach(() => rig[Symbol.asyncDispose]());

const handle = (event: JobEvent) => handleEvent(job, round, event);
const say = (message: WorkerMessage) =>
  handle({ type: 'message', worker: lease.worker, message, atMs: rig.clock.now() });
async function handleNext(): Promise<void> {
  const event = await job.mailbox.next(0, job.signal);
  if (event) await handle(event);
}

/** The worker connects again, with the lease it holds. */
function comeBack(holds = true): void {
  const held = holds ? { jobId: job.jobId, leaseId: lease.leaseId } : undefined;
  peer = {
    address: lease.worker,
    offer: { version: '0', devices: [], powerCapacity: 50, held },
    ip: '127.0.0.1',
    session: '',
    connectedAtMs: 0,
    traffic: noTraffic,
    send: (message) => void sent.push(message),
    pull: () => new Promise((resolve, reject) => void fetches.push({ resolve, reject })),
    close: () => undefined,
  };
  rig.fleet.onConnect(peer);
}

/** The worker commits an update of this text, which the master can fetch. */
async function commits(text = 'update'): Promise<Commit> {
  const update = await job.deps.blobs.addBytes(Buffer.from(text));
  const tokens = (lease.end - lease.start) * BLOCK_TOKENS;
  const endTheta = playedEndTheta(round.theta, text);
  const message: Commit = { ...commit(lease.leaseId), update, tokens, endTheta };
  await say(message);
  return message;
}

const verdicts = () => sent.filter(({ type }) => type === 'update.verdict');

test('update committed and fetched: accepted', async () => {
  const message = await commits();
  fetches[0]?.resolve();
  await handleNext();
  expect(lease).toMatchObject({ state: 'ready', work: { update: message.update } });
  expect(verdicts()).toMatchObject([{ accepted: true }]);
});

test('worker gone before the fetch: it may come back with its update', async () => {
  rig.fleet.onClose(peer, 'cut');
  await commits();
  await settled();
  expect(lease).toMatchObject({ state: 'running', awaySinceMs: job.deps.clock.now() });
  expect(verdicts()).toEqual([]);
});

test('lease given up during the fetch: it stays lost', async () => {
  await commits();
  await say({ type: 'lease.failed', leaseId: lease.leaseId, code: 'train/oom', reason: 'out of memory' });
  fetches[0]?.reject(cut('replaced'));
  await settled();
  expect(lease.state).toBe('lost');
  expect(round.unsettled()).toEqual([]);
});

test('reconnect during fetch: second commit counts', async () => {
  await commits();
  comeBack();
  await handleNext();
  await commits();
  fetches[0]?.reject(cut('replaced'));
  await settled();
  expect(lease.state).toBe('collecting');
  fetches[1]?.resolve();
  await handleNext();
  expect(lease.state).toBe('ready');
  expect(verdicts()).toMatchObject([{ accepted: true }]);
});

test('first commit refused while the second waits: only the second verdict counts', async () => {
  await commits(UNSOUND);
  fetches[0]?.resolve();
  await settled();
  await handle({ type: 'join', worker: lease.worker, held: { jobId: job.jobId, leaseId: lease.leaseId } });
  await commits();
  await handleNext();
  expect(lease.state).toBe('collecting');
  expect(verdicts()).toEqual([]);
  fetches[1]?.resolve();
  await handleNext();
  expect(lease.state).toBe('ready');
  expect(verdicts()).toMatchObject([{ accepted: true }]);
});

test('first fetch failed while the second waits: the second goes on', async () => {
  await commits();
  fetches[0]?.reject(new AppError({ code: 'blobs/hash-mismatch' }, 'The update is another one.'));
  await settled();
  await handle({ type: 'join', worker: lease.worker, held: { jobId: job.jobId, leaseId: lease.leaseId } });
  await commits();
  await handleNext();
  expect(lease.state).toBe('collecting');
  expect(verdicts()).toEqual([]);
});

test('update has another hash: rejected, lease lost, worker struck', async () => {
  await commits();
  fetches[0]?.reject(new AppError({ code: 'blobs/hash-mismatch' }, 'The update is another one.'));
  await handleNext();
  expect(lease.state).toBe('lost');
  expect(verdicts()).toMatchObject([{ accepted: false, reason: 'The update is another one.' }]);
  expect(await rig.store.workers.addStrike(lease.worker, 'another')).toBe(2);
});

test('first strike here after two in other jobs: the worker stays', async () => {
  for (const reason of ['first', 'second']) await rig.store.workers.addStrike(lease.worker, reason);
  await commits(UNSOUND);
  fetches[0]?.resolve();
  await handleNext();
  expect([...job.dismissed.keys()]).toEqual([]);
  expect(job.members.has(lease.worker)).toBe(true);
});

test('third strike in this job: the worker is taken off it', async () => {
  job.strikes.set(lease.worker, 2);
  await commits(UNSOUND);
  fetches[0]?.resolve();
  await handleNext();
  expect([...job.dismissed.keys()]).toEqual([lease.worker]);
  expect(job.members.has(lease.worker)).toBe(false);
  expect(sent.at(-1)).toMatchObject({ type: 'job.close' });
});

test.each([
  ['more tokens than the lease has', { tokens: 1 }, /claims 1 tokens/],
  ['more bytes than the model has', { update: { ...commit('a').update, bytes: 1e9 } }, /has 1000000000 bytes/],
])('commit claims %s: rejected without a fetch', async (_claim, changes, reason) => {
  const tokens = (lease.end - lease.start) * BLOCK_TOKENS;
  await say({ ...commit(lease.leaseId), tokens, ...changes });
  await handleNext();
  expect(fetches).toEqual([]);
  expect(verdicts()).toMatchObject([{ accepted: false, reason: expect.stringMatching(reason) }]);
});

test('commit repeated after its verdict: the verdict is repeated', async () => {
  await commits();
  fetches[0]?.resolve();
  await handleNext();
  await commits();
  expect(verdicts()).toMatchObject([{ accepted: true }, { accepted: true }]);
  expect(fetches).toHaveLength(1);
});

test('commit for a lease of another round: refused', async () => {
  await say(commit('unknown'));
  expect(verdicts()).toMatchObject([{ accepted: false, reason: 'the round of this lease is closed' }]);
});

test('worker returns without its lease: the blocks go to others at once', async () => {
  comeBack(false);
  await handleNext();
  expect(lease.state).toBe('lost');
  expect(await rig.store.ledger.available(job.jobId)).toBe(16);
});

test('worker expelled: no member any more, its lease is lost', async () => {
  rig.fleet.expel(lease.worker, 'out');
  await handleNext();
  expect(job.members.has(lease.worker)).toBe(false);
  expect(lease.state).toBe('lost');
});

test('worker whose device is too small joins: dismissed before it hears of the job', async () => {
  Object.assign(peer, { offer: { ...peer.offer, devices: [{ name: 'small', kind: 'cpu', memoryBytes: 1000 }] } });
  rig.fleet.onConnect(peer);
  await handleNext();
  expect(job.dismissed.has(lease.worker)).toBe(true);
  expect(sent.at(-1)).toMatchObject({ type: 'job.close', reason: expect.stringContaining('too small') });
});

test('worker cannot do the job: dismissed, and not asked again', async () => {
  await say({ type: 'job.failed', jobId: job.jobId, code: 'train/oom', reason: 'out of memory' });
  expect(job.dismissed.has(lease.worker)).toBe(true);
  expect(rig.fleet.idle()).toMatchObject([{ address: lease.worker }]);
});

import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { AppError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import { Mailbox } from '../../../src/lib/mailbox';
import { cut } from '../../../src/link/errors';
import type { JobContext } from '../../../src/master/job-context';
import type { JobEvent } from '../../../src/master/job-events';
import { handleEvent } from '../../../src/master/round-events';
import { type LiveLease, RoundState } from '../../../src/master/round-state';
import type { MasterMessageIn } from '../../../src/protocol/link';
import { commit } from '../../support/worker-messages';

const worker = Address.parse(`0x${'1'.repeat(40)}`);
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A round with one lease of four blocks, whose update is fetched as the test says. */
function openRound() {
  const lease: LiveLease = { leaseId: 'a', worker, start: 0, end: 4, grantedAtMs: 0, state: 'running' };
  const round = new RoundState(0, 'theta' as Sha256, 60_000);
  round.add(lease);
  const sent: MasterMessageIn[] = [];
  const fetches: { resolve(): void; reject(error: Error): void }[] = [];
  const desk = { isThere: true, isSound: true };
  const pull = () => new Promise<void>((resolve, reject) => void fetches.push({ resolve, reject }));
  const mailbox = new Mailbox<JobEvent>();
  const job = {
    jobId: JobId.parse(`0x${'2'.repeat(32)}`),
    plan: { prepared: { blockTokens: 64 }, parameters: 1 },
    mailbox,
    members: new Map(),
    signal: new AbortController().signal,
    coordinator: { run: async () => ({ ok: desk.isSound }) },
    deps: {
      fleet: {
        peer: () => (desk.isThere ? { pull } : undefined),
        send: (_worker: Address, message: MasterMessageIn) => void sent.push(message),
        recordSpeed: () => undefined,
      },
      store: {
        ledger: { commit: async () => 'committed', release: async () => undefined },
        workers: { addStrike: async () => 1 },
      },
      blobs: { path: () => 'update' },
      clock: { now: () => 1000 },
      logger: silentLogger,
    },
  } as unknown as JobContext;
  const handle = (event: JobEvent) => handleEvent(job, round, event);
  return {
    lease,
    desk,
    fetches,
    verdicts: () => sent.filter(({ type }) => type === 'update.verdict'),
    unsettled: () => round.unsettled(),
    handle,
    commit: () => handle({ type: 'message', worker, message: commit('a') }),
    comeBack: () => handle({ type: 'join', worker, held: { jobId: job.jobId, leaseId: 'a' } }),
    async takeCollected() {
      const event = await mailbox.next(1000, job.signal);
      if (event) await handle(event);
    },
  };
}

/** Ends the fetch of this commit, which is then the one that counts. */
async function expectAccepted(round: ReturnType<typeof openRound>, commit: number): Promise<void> {
  round.fetches[commit]?.resolve();
  await round.takeCollected();
  expect(round.lease.state).toBe('ready');
  expect(round.verdicts()).toMatchObject([{ accepted: true }]);
}

test('default: what is committed is fetched and accepted', async () => {
  const round = openRound();
  await round.commit();
  round.fetches[0]?.resolve();
  await round.takeCollected();
  expect(round.lease).toMatchObject({ state: 'ready', work: { update: commit('a').update } });
  expect(round.verdicts()).toMatchObject([{ accepted: true }]);
});

test('when the worker is gone before its update is fetched: it may come back with it', async () => {
  const round = openRound();
  round.desk.isThere = false;
  await round.commit();
  await turn();
  expect(round.lease).toMatchObject({ state: 'running', awaySinceMs: 1000 });
  expect(round.verdicts()).toEqual([]);
});

test('when the worker gives the lease up before its fetch is cut: it stays lost', async () => {
  const round = openRound();
  await round.commit();
  const failed = { type: 'lease.failed', leaseId: 'a', code: 'train/oom', reason: 'out of memory' } as const;
  await round.handle({ type: 'message', worker, message: failed });
  round.fetches[0]?.reject(cut('replaced'));
  await turn();
  expect(round.lease.state).toBe('lost');
  expect(round.unsettled()).toEqual([]);
});

test('when the worker is back before the fetch that its going cut has ended: its second commit counts', async () => {
  const round = openRound();
  await round.commit();
  await round.comeBack();
  await round.commit();
  round.fetches[0]?.reject(cut('replaced'));
  await turn();
  expect(round.lease.state).toBe('collecting');
  await expectAccepted(round, 1);
});

test('when the first commit was judged while the second was waiting: only the second one’s verdict counts', async () => {
  const round = openRound();
  await round.commit();
  round.desk.isSound = false;
  round.fetches[0]?.resolve();
  await turn();
  await round.comeBack();
  await round.commit();
  await round.takeCollected();
  expect(round.lease.state).toBe('collecting');
  expect(round.verdicts()).toEqual([]);
  round.desk.isSound = true;
  await expectAccepted(round, 1);
});

test('when the fetch of the first commit failed while the second was waiting: the second one’s goes on', async () => {
  const round = openRound();
  await round.commit();
  round.fetches[0]?.reject(new AppError({ code: 'blobs/hash-mismatch' }, 'The update is another one.'));
  await turn();
  await round.comeBack();
  await round.commit();
  await round.takeCollected();
  expect(round.lease.state).toBe('collecting');
  expect(round.verdicts()).toEqual([]);
});

test('when an update is not what was promised: rejected, and its lease is lost', async () => {
  const round = openRound();
  await round.commit();
  round.fetches[0]?.reject(new AppError({ code: 'blobs/hash-mismatch' }, 'The update is another one.'));
  await turn();
  await round.takeCollected();
  expect(round.lease.state).toBe('lost');
  expect(round.verdicts()).toMatchObject([{ accepted: false, reason: 'The update is another one.' }]);
});

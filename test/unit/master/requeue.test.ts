/** Which jobs an operator may put back into the queue. */
import type { ChainState, JobState } from '../../../src/domain/job';
import { requeueJob } from '../../../src/master/requeue';
import { openStore, type Store } from '../../../src/store/open';
import { requestJob } from '../../support/request-job';
import { SteppedClock } from '../../support/stepped-clock';
import { node } from '../../support/test-job';
import { jobId } from '../../support/worker-messages';

const id = jobId('7');
let store: Store;
beforeEach(async () => {
  store = await openStore({ kind: 'sqlite', path: ':memory:' }, new SteppedClock());
  const job = { dataset: 'sha256:data', params: '{}', feeWei: 1n, fuelLimit: 1n, deadlineMs: 1 };
  await requestJob(store, { ...job, id, requester: node, requestedBlock: 1 });
});
afterEach(() => store[Symbol.asyncDispose]());

const requeue = (state: ChainState = 'REQUESTED') =>
  requeueJob(id, { store, chain: { job: async () => ({ state, deadlineMs: 1 }) } });

async function go(...states: JobState[]): Promise<void> {
  for (const to of states) {
    const { state } = (await store.jobs.find(id))!;
    if (to === 'claimed') await store.jobs.claim(id, node);
    else await store.jobs.move(id, state, to, { reason: 'why' });
  }
}

test.each<[string, JobState[]]>([
  ['queued', []],
  ['skipped', ['skipped']],
  ['failed', ['claimed', 'failed']],
  ['declined', ['claimed', 'declining', 'declined']],
])('%s and open on chain: queued again', async (_state, way) => {
  await go(...way);
  await expect(requeue()).resolves.toBe('queued');
  expect(await store.jobs.find(id)).toMatchObject({ state: 'queued', owner: undefined, reason: undefined });
});

test('a master works on it: refused with its state', async () => {
  await go('claimed', 'preparing', 'training');
  await expect(requeue()).rejects.toMatchObject({ code: 'job/not-idle', message: expect.stringContaining('training') });
});

test.each<ChainState>(['PROCESSING', 'CANCELED', 'TIMEOUT'])('chain says %s: refused with that', async (state) => {
  await go('skipped');
  await expect(requeue(state)).rejects.toMatchObject({ code: 'job/not-open', message: expect.stringContaining(state) });
  expect((await store.jobs.find(id))?.state).toBe('skipped');
});

test('unknown job: refused', async () => {
  const deps = { store, chain: { job: async () => ({ state: 'REQUESTED' as const, deadlineMs: 1 }) } };
  await expect(requeueJob(jobId('8'), deps)).rejects.toMatchObject({ code: 'job/not-found' });
});

/** The retry loop of one job: where it starts, when it tries again, and what ends it. */

import { BlobStore } from '../../../src/blobs/blob-store';
import type { Address, JobId } from '../../../src/domain/ids';
import type { ChainState, JobState } from '../../../src/domain/job';
import { Fleet } from '../../../src/fleet/fleet';
import { AppError } from '../../../src/lib/errors';
import { EvidenceBook } from '../../../src/master/evidence';
import { JobRun } from '../../../src/master/job-run';
import type { MasterChain, MasterStorage } from '../../../src/master/ports';
import { openStore } from '../../../src/store/open';
import { noBases } from '../../support/no-bases';
import { PlayedDisk } from '../../support/played-disk';
import { requestJob } from '../../support/request-job';
import { openScratch } from '../../support/scratch';
import { SteppedClock } from '../../support/stepped-clock';
import { FEE_WEI, FUEL_LIMIT, jobOptions, letPass, listLogger, node, testWallet } from '../../support/test-job';
import { blobName, jobId } from '../../support/worker-messages';

const id: JobId = jobId('7');
const stranger = `0x${'5e'.repeat(20)}` as Address;
const result = { manifest: blobName('a'), fuelUsed: 1n, payoutRoot: '0x', shares: [], blobs: [blobName('a')] };
const notCalled = () => Promise.reject(new AppError({ code: 'test/not-called' }, 'The test does not call this.'));

/** The way of a job to the state in which a run starts. */
const ways: Partial<Record<JobState, readonly JobState[]>> = {
  claimed: [],
  submitted: ['preparing', 'training', 'exporting', 'submitting', 'submitted'],
};

/**
 * A run of a job in `state`, with a chain that says `verdict`, and storage that fails as often as the test
 * says.
 */
async function openRun(
  state: 'claimed' | 'submitted',
  faults: { code: string; times: number } = { code: '', times: 0 },
) {
  const clock = new SteppedClock();
  const scratch = await openScratch();
  const store = await openStore({ kind: 'sqlite', path: ':memory:' }, clock);
  const deadlineMs = clock.now() + 3_600_000;
  const request = { dataset: 'sha256:data', params: '{}', feeWei: FEE_WEI, fuelLimit: FUEL_LIMIT, deadlineMs };
  await requestJob(store, { ...request, id, requester: stranger, requestedBlock: 1 });
  await store.jobs.claim(id, node);
  let before: JobState = 'claimed';
  for (const next of ways[state] ?? []) {
    await store.jobs.move(id, before, next, next === 'submitting' ? { result } : {});
    before = next;
  }
  const verdict: { state: ChainState; node?: Address | undefined } = { state: 'SUBMITTED', node };
  const calls = { fetches: 0, pays: 0, opens: 0 };
  const chain: MasterChain = {
    chainId: 31337,
    contract: stranger,
    job: async () => ({ ...verdict, deadlineMs }),
    minWorkMs: async () => 60_000,
    process: notCalled,
    decline: notCalled,
    submit: notCalled,
    finalize: notCalled,
    unwind: notCalled,
    async payWorkers() {
      calls.pays += 1;
    },
    payoutRoot: () => '0x',
  };
  const storage: MasterStorage = {
    size: notCalled,
    publish: notCalled,
    ...noBases,
    async fetch(_reference, signal) {
      calls.fetches += 1;
      if (calls.fetches <= faults.times) throw new AppError({ code: faults.code }, 'as the test wishes');
      // It never arrives: the test ends the run.
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  };
  const stop = new AbortController();
  const log: string[] = [];
  const logger = listLogger(log);
  const fleet = new Fleet({ logger });
  const blobs = new BlobStore(scratch.file('blobs'));
  const options = jobOptions(scratch.path);
  const deps = {
    store,
    blobs,
    fleet,
    wallet: testWallet,
    chain,
    storage,
    disk: new PlayedDisk(),
    clock,
    logger,
    signal: stop.signal,
  };
  const evidence = new EvidenceBook({ dataDir: scratch.path, evidenceBytes: 2 ** 30 }, deps);
  const run = new JobRun((await store.jobs.find(id))!, options, { ...deps, evidence, openChild: notCalled });
  const ended: { error?: unknown; isOver: boolean } = { isOver: false };
  void run.run().then(
    () => {
      ended.isOver = true;
    },
    (error) => Object.assign(ended, { isOver: true, error }),
  );
  return {
    ...{ run, ended, stop, store, verdict, calls, log, clock, blobs },
    finish: () => letPass(clock, () => ended.isOver),
    async [Symbol.asyncDispose]() {
      stop.abort(new Error('The test is over.'));
      await letPass(clock, () => ended.isOver);
      await store[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

const row = async ({ store }: Awaited<ReturnType<typeof openRun>>) => (await store.jobs.find(id))!;

test('step fails again and again: it waits, says for what, and goes on within 10 s', async () => {
  await using opened = await openRun('claimed', { code: 'chain/unreachable', times: 30 });
  await letPass(opened.clock, () => opened.calls.fetches === 30);
  expect(opened.run.waitsFor).toBe('as the test wishes');
  const beforeMs = opened.clock.now();
  await letPass(opened.clock, () => opened.calls.fetches === 31);
  expect(opened.clock.now() - beforeMs).toBeLessThanOrEqual(10_000);
  expect((await row(opened)).state).toBe('claimed');
  expect(opened.log.filter((message) => message === 'Job waits')).toHaveLength(1);
});

test('child dies of a job five times: it makes room, and is looked at again', async () => {
  await using opened = await openRun('claimed', { code: 'runner/child-crashed', times: 9 });
  opened.verdict.state = 'REQUESTED';
  await opened.finish();
  expect(await row(opened)).toMatchObject({ state: 'skipped', reason: 'as the test wishes' });
  expect((await row(opened)).lookAtMs).toBeGreaterThan(opened.clock.now());
  expect(opened.calls.fetches).toBe(5);
});

test('data are away of a job that this node has on chain: waited for', async () => {
  await using opened = await openRun('claimed', { code: 'dataset/missing', times: 9 });
  opened.verdict.state = 'PROCESSING';
  await letPass(opened.clock, () => opened.calls.fetches === 10);
  expect(await row(opened)).toMatchObject({ state: 'claimed' });
});

test('data are at fault: skipped until somebody says otherwise', async () => {
  await using opened = await openRun('claimed', { code: 'data/not-text', times: 9 });
  await opened.finish();
  expect(await row(opened)).toMatchObject({ state: 'skipped', lookAtMs: undefined });
});

test('data set cannot be had: skipped at once', async () => {
  await using opened = await openRun('claimed', { code: 'dataset/missing', times: 9 });
  await opened.finish();
  expect(opened.calls.fetches).toBe(1);
  expect(opened.run.state).toBe('skipped');
});

test('resumed in submitted: goes on there, and leaves the evidence alone', async () => {
  await using opened = await openRun('submitted');
  const { sha256: theta } = await opened.blobs.addBytes(Buffer.from('weights'));
  const { sha256: shard } = await opened.blobs.addBytes(Buffer.from('shard'));
  await opened.store.rounds.open(id, 0, theta);
  await opened.store.ledger.initialise(id, 4);
  const lease = { leaseId: 'a', jobId: id, round: 0, worker: stranger, blocks: 4, expiresAtMs: 1 };
  await opened.store.ledger.grant(lease);
  await opened.store.ledger.setShard('a', shard);
  opened.verdict.state = 'VERIFIED';
  await opened.finish();
  expect(await row(opened)).toMatchObject({ state: 'verified' });
  expect(opened.calls).toMatchObject({ fetches: 0, pays: 1 });
  expect(await opened.blobs.stat(shard)).toBeUndefined();
  expect(await opened.blobs.stat(theta)).toBeDefined();
});

test.each<[string, ChainState, Address | undefined]>([
  ['canceled', 'CANCELED', undefined],
  ['timed out', 'TIMEOUT', undefined],
  ['taken by another node', 'PROCESSING', stranger],
])('chain says %s: the step under way ends, and the job has failed', async (_situation, state, holder) => {
  await using opened = await openRun('claimed');
  await letPass(opened.clock, () => opened.calls.fetches === 1);
  Object.assign(opened.verdict, { state, node: holder });
  opened.run.onChainState(state, holder);
  await opened.finish();
  expect(await row(opened)).toMatchObject({ state: 'failed', reason: `The chain says ${state}` });
  expect(opened.log).not.toContain('Job waits');
});

test.each<[string, 'claimed' | 'submitted', ChainState, Address | undefined]>([
  ['taken by this node', 'claimed', 'PROCESSING', node],
  ['requested, before it is taken', 'claimed', 'REQUESTED', undefined],
  ['verified', 'submitted', 'VERIFIED', undefined],
  ['disputed', 'submitted', 'DISPUTED', undefined],
])('chain says %s: the run goes on', async (_situation, start, state, holder) => {
  await using opened = await openRun(start);
  await letPass(opened.clock, () => opened.calls.fetches === 1 || start === 'submitted');
  opened.run.onChainState(state, holder);
  expect(opened.ended.isOver).toBe(false);
  expect((await row(opened)).state).toBe(start);
});

test('chain says requested again after this node took it: the run ends', async () => {
  await using opened = await openRun('submitted');
  Object.assign(opened.verdict, { state: 'REQUESTED', node: undefined });
  opened.run.onChainState('REQUESTED', undefined);
  await opened.finish();
  expect((await row(opened)).state).toBe('failed');
});

test('old move of the chain, this node has the job by now: the run goes on', async () => {
  await using opened = await openRun('submitted');
  opened.run.onChainState('PROCESSING', stranger);
  opened.verdict.state = 'VERIFIED';
  await opened.finish();
  expect((await row(opened)).state).toBe('verified');
});

test('master stops: the run throws, and the job stays as it is', async () => {
  await using opened = await openRun('claimed');
  await letPass(opened.clock, () => opened.calls.fetches === 1);
  opened.stop.abort(new Error('The master stops.'));
  await opened.finish();
  expect(opened.ended.error).toMatchObject({ message: 'The master stops.' });
  expect((await row(opened)).state).toBe('claimed');
});

/** The steps that only talk to the chain: each finds what is done already, and does it otherwise. */

import { Address } from '../../../../src/domain/ids';
import type { ChainState } from '../../../../src/domain/job';
import type { MasterChain } from '../../../../src/master/ports';
import { giveBackJob } from '../../../../src/master/steps/decline';
import { settleJob } from '../../../../src/master/steps/settle';
import { submitJob } from '../../../../src/master/steps/submit';
import { takeJob } from '../../../../src/master/steps/take';
import type { StoredResult } from '../../../../src/store/jobs';
import { PlayedDisk } from '../../../support/played-disk';
import { SteppedClock } from '../../../support/stepped-clock';
import { letPass, listLogger, node } from '../../../support/test-job';
import { blobName, jobId } from '../../../support/worker-messages';

const stranger = Address.parse(`0x${'5e'.repeat(20)}`);
const id = jobId('7');
const wallet = { address: node };
const result: StoredResult = {
  manifest: blobName('a'),
  fuelUsed: 5n,
  payoutRoot: `0x${'b'.repeat(64)}`,
  shares: [{ index: 0, worker: node, amountWei: 3n, tokens: 0 }],
  blobs: [],
};

/**
 * A contract with one job: writes down what it is asked to do, and changes the job's state as the test says.
 */
function chainIn(state: ChainState, holder?: Address, deadlineMs = 0) {
  const job = { state, node: holder, deadlineMs };
  const calls: unknown[][] = [];
  const act =
    (name: string, to: ChainState) =>
    async (_jobId: string, ...rest: unknown[]) => {
      calls.push([name, ...rest]);
      job.state = to;
    };
  const acts = {
    process: act('process', 'PROCESSING'),
    decline: act('decline', 'REQUESTED'),
    submit: act('submit', 'SUBMITTED'),
    finalize: act('finalize', 'VERIFIED'),
    unwind: act('unwind', 'UNVERIFIED'),
    payWorkers: act('payWorkers', 'VERIFIED'),
  } satisfies Partial<MasterChain>;
  return { job, calls, chain: { ...acts, job: async () => ({ ...job }) } };
}

describe('takeJob', () => {
  test.each([
    ['requested', 'REQUESTED', undefined, [['process']]],
    ['taken before a restart', 'PROCESSING', node, []],
  ] as const)('job %s: the right call, then training', async (_situation, state, holder, calls) => {
    const contract = chainIn(state, holder);
    expect(await takeJob({ row: { id }, deps: { chain: contract.chain, wallet, disk: new PlayedDisk() } })).toEqual({
      to: 'training',
    });
    expect(contract.calls).toEqual(calls);
  });

  test('disk below its floor: nothing is sent, unless the job is taken already', async () => {
    const disk = new PlayedDisk();
    disk.room = -1;
    const [open, taken] = [chainIn('REQUESTED'), chainIn('PROCESSING', node)];
    const take = ({ chain }: typeof open) => takeJob({ row: { id }, deps: { chain, wallet, disk } });
    await expect(take(open)).rejects.toMatchObject({ code: 'disk/low' });
    expect(open.calls).toEqual([]);
    expect(await take(taken)).toEqual({ to: 'training' });
    disk.room = 0;
    expect(await take(open)).toEqual({ to: 'training' });
  });
});

test.each([
  ['with another node', 'PROCESSING', stranger],
  ['canceled', 'CANCELED', undefined],
] as const)('job %s before it is taken: takeJob throws job/ended-on-chain', async (_situation, state, holder) => {
  const { chain, calls } = chainIn(state, holder);
  await expect(takeJob({ row: { id }, deps: { chain, wallet, disk: new PlayedDisk() } })).rejects.toMatchObject({
    code: 'job/ended-on-chain',
  });
  expect(calls).toEqual([]);
});

describe('giveBackJob', () => {
  test.each([
    ['held by this node', 'PROCESSING', node, [['decline']]],
    ['held by another node', 'PROCESSING', stranger, []],
    ['given back before a restart', 'REQUESTED', undefined, []],
  ] as const)('job %s: declined', async (_situation, state, holder, calls) => {
    const contract = chainIn(state, holder);
    expect(await giveBackJob({ row: { id, reason: 'why' }, deps: { chain: contract.chain, wallet } })).toEqual({
      to: 'declined',
      facts: { reason: 'why' },
    });
    expect(contract.calls).toEqual(calls);
  });
});

describe('submitJob', () => {
  test('job in progress: its manifest is the result, fuel and payouts are committed', async () => {
    const { chain, calls } = chainIn('PROCESSING', node);
    expect(await submitJob({ row: { id, result }, deps: { chain, wallet } })).toEqual({ to: 'submitted' });
    const { fuelUsed, payoutRoot, manifest } = result;
    expect(calls).toEqual([['submit', { resultHash: `0x${manifest}`, fuelUsed, payoutRoot }]]);
  });

  test('job submitted before a restart: not submitted again', async () => {
    const { chain, calls } = chainIn('SUBMITTED', node);
    expect(await submitJob({ row: { id, result }, deps: { chain, wallet } })).toEqual({ to: 'submitted' });
    expect(calls).toEqual([]);
  });

  test('no result stored: throws', async () => {
    const { chain } = chainIn('PROCESSING', node);
    await expect(submitJob({ row: { id }, deps: { chain, wallet } })).rejects.toThrow('has no result');
  });
});

describe('settleJob', () => {
  /**
   * Settles a job whose window ends a minute from now; what `change` does to it happens after ten seconds.
   */
  async function settle(state: ChainState, change?: ChainState) {
    const clock = new SteppedClock();
    const startedAtMs = clock.now();
    const contract = chainIn(state, node, startedAtMs + 60_000);
    if (change) {
      void clock.sleep(10_000).then(() => {
        contract.job.state = change;
      });
    }
    const deps = { chain: contract.chain, wallet, clock, logger: listLogger([]) };
    let outcome: unknown;
    void settleJob({ row: { id, result }, signal: new AbortController().signal, deps }).then(
      (value) => {
        outcome = value;
      },
      (error) => {
        outcome = error;
      },
    );
    await letPass(clock, () => outcome !== undefined);
    return { outcome, calls: contract.calls, tookMs: clock.now() - startedAtMs };
  }
  const pay = ['payWorkers', `0x${result.manifest}`, result.shares];

  test('verified already: workers are paid at once', async () => {
    expect(await settle('VERIFIED')).toEqual({ outcome: { to: 'verified' }, calls: [pay], tookMs: 0 });
  });

  test('verified while it waits: then workers are paid', async () => {
    expect(await settle('SUBMITTED', 'VERIFIED')).toEqual({
      outcome: { to: 'verified' },
      calls: [pay],
      tookMs: 10_000,
    });
  });

  test('no verdict in the window: finalized just after it, then paid', async () => {
    const { outcome, calls, tookMs } = await settle('SUBMITTED');
    expect([outcome, calls]).toEqual([{ to: 'verified' }, [['finalize'], pay]]);
    expect(tookMs).toBeGreaterThan(62_000);
  });

  test('dispute not decided in the window: unwound, and the job is over without pay', async () => {
    const { outcome, calls } = await settle('DISPUTED');
    expect(outcome).toMatchObject({ code: 'job/ended-on-chain', detail: { chainState: 'UNVERIFIED' } });
    expect(calls).toEqual([['unwind']]);
  });

  test.each(['FAILED', 'TIMEOUT', 'UNVERIFIED'] as const)('%s: throws job/ended-on-chain', async (state) => {
    const { outcome, calls } = await settle(state);
    expect(outcome).toMatchObject({ code: 'job/ended-on-chain', detail: { chainState: state } });
    expect(calls).toEqual([]);
  });
});

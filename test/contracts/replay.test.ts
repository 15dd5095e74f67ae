import { getAddress } from 'ethers';
import fc from 'fast-check';
import {
  commitmentOf,
  type Escrow,
  openEscrow,
  type Role,
  reasonHash,
  result,
  resultHash,
  roles,
  USED,
} from '../support/escrow';
import { EscrowModel } from '../support/escrow-model';

let escrow: Escrow;
let model: EscrowModel;
let jobIds: string[];

beforeAll(async () => {
  escrow = await openEscrow();
});
afterAll(() => escrow?.[Symbol.asyncDispose]());

const acts = {
  request: () => [],
  process: (jobId: string) => [jobId],
  decline: (jobId: string) => [jobId],
  submit: (jobId: string, part: number) => [jobId, resultHash, (USED * BigInt(part)) / 10n, escrow.payoutRoot, result],
  verify: (jobId: string) => [jobId, commitmentOf(escrow.payoutRoot), []],
  rejectResult: (jobId: string) => [jobId, commitmentOf(escrow.payoutRoot), reasonHash, []],
  accept: (jobId: string) => [jobId],
  challenge: (jobId: string) => [jobId],
  cancel: (jobId: string) => [jobId],
  expire: (jobId: string) => [jobId],
  timeout: (jobId: string) => [jobId],
  finalize: (jobId: string) => [jobId],
  unwind: (jobId: string) => [jobId],
  payWorkers: (jobId: string) => [jobId, resultHash, escrow.payees],
  claimPay: (jobId: string, part: number) => {
    const index = part % 3;
    const { worker, amount } = escrow.payees[index]!;
    return [jobId, resultHash, escrow.payoutRoot, index, worker, amount, escrow.proofOf(index)];
  },
  sweepUnclaimed: (jobId: string) => [jobId],
  deposit: (_jobId: string, part: number) => [escrow.address.node, BigInt(part) * 10n ** 18n],
  withdraw: (_jobId: string, part: number) => [escrow.address.other, BigInt(part) * 10n ** 18n],
  burn: () => [escrow.address.node],
};
type Act = keyof typeof acts;

/** Who would do it, so that most acts succeed; now and then it is somebody else. */
const usual: Partial<Record<Act, Role>> = {
  request: 'requester',
  process: 'node',
  decline: 'node',
  submit: 'node',
  verify: 'verifier',
  rejectResult: 'verifier',
  accept: 'requester',
  cancel: 'requester',
  sweepUnclaimed: 'node',
};
const step = fc.record({
  // The first steps of a job come up more often than its ends, so that jobs get far.
  act: fc.oneof(
    { weight: 2, arbitrary: fc.constant<Act>('request') },
    { weight: 8, arbitrary: fc.constantFrom<Act>('process', 'submit') },
    { weight: 10, arbitrary: fc.constantFrom(...(Object.keys(acts) as Act[])) },
  ),
  role: fc.constantFrom(...roles),
  isUsual: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  job: fc.nat(2),
  part: fc.integer({ min: 0, max: 16 }),
  seconds: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, fc.constantFrom(1900, 3700, 90 * 86_400 + 1)),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Does one step, refused or not, and lets the model read its events. */
async function perform({ act, role, isUsual, job, part, seconds }: Step): Promise<void> {
  if (seconds) await escrow.warp(seconds);
  const by = isUsual ? (usual[act] ?? role) : role;
  // One of the latest jobs, so that jobs get far.
  const jobId = jobIds.at(-1 - job) ?? `0x${'00'.repeat(16)}`;
  try {
    const sent = act === 'request' ? await requestBy(by) : await escrow.send(by, act, ...acts[act](jobId, part));
    for (const event of sent.events) model.apply(event);
  } catch (error) {
    expect(String(error)).toMatch(/EmethCore_/);
  }
}

async function requestBy(by: Role) {
  const salt = `0x${(jobIds.length + 1).toString(16).padStart(64, '0')}`;
  const deadline = (await escrow.now()) + 1800n;
  const sent = await escrow.send(by, 'request', 'sha256:00', '{}', 10n ** 21n, 1_000_000n, deadline, salt);
  jobIds.push(sent.events[0]!.args['jobId']);
  return sent;
}

async function compare(): Promise<void> {
  expect(await escrow.readToken('balanceOf', escrow.core)).toBe(model.liabilitiesWei());
  for (const role of roles) {
    const account = getAddress(escrow.address[role]);
    expect([role, await escrow.read('credit', account)]).toEqual([role, model.credits.get(account) ?? 0n]);
    expect(await escrow.read('forfeited', account)).toBe(model.penalties.get(account) ?? 0n);
  }
  for (const [key, burnt] of model.slots) {
    const [slot, node] = key.split(':');
    const stored = node ? escrow.read('slotBurntBy', slot, node) : escrow.read('slotBurnt', slot);
    expect(await stored).toBe(burnt);
  }
  for (const jobId of jobIds) expect(await escrow.state(jobId)).toBe(model.jobs.get(jobId)?.state);
}

test('the log replays to what storage holds, and the balance is what is owed', async () => {
  const sequence = fc.array(step, { minLength: 60, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(sequence, async (steps) => {
      await escrow.reset();
      [model, jobIds] = [new EscrowModel(), []];
      for (const next of steps) await perform(next);
      await compare();
    }),
    { numRuns: 20, endOnFailure: true },
  );
}, 120_000);

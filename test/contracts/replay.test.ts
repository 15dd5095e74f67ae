import { getAddress, id } from 'ethers';
import fc from 'fast-check';
import { nodeStatuses } from '../../src/chain/registry';
import type { ChainState } from '../../src/domain/job';
import {
  type ContractName,
  commitmentOf,
  type Escrow,
  enrolmentOf,
  openEscrow,
  type Role,
  reasonHash,
  result,
  resultHash,
  roles,
  USED,
} from '../support/escrow';
import { EscrowModel } from '../support/escrow-model';
import { RegistryModel } from '../support/registry-model';

let escrow: Escrow;
let jobIds: string[];

beforeAll(async () => {
  escrow = await openEscrow();
});
afterAll(() => escrow?.[Symbol.asyncDispose]());

/** `npm run test:contracts:long` asks for more. */
const HISTORIES = Number(process.env['EMETH_HISTORIES'] ?? 20);
const EMT = 10n ** 18n;
/** Nodes that come and go; `node` itself stays most of the time. */
const nodes = ['node', 'other', 'worker'] as const;

const coreActs = {
  request: () => [],
  process: (jobId: string) => [jobId],
  decline: (jobId: string) => [jobId],
  submit: (jobId: string, part: number) => [jobId, resultHash, (USED * BigInt(part)) / 10n, escrow.payoutRoot, result],
  verify: (jobId: string) => [jobId, commitmentOf(escrow.payoutRoot), '0x'],
  rejectResult: (jobId: string) => [jobId, commitmentOf(escrow.payoutRoot), reasonHash, '0x'],
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
  deposit: (_jobId: string, part: number) => [escrow.address.node, BigInt(part) * EMT],
  withdraw: (_jobId: string, part: number) => [escrow.address.other, BigInt(part) * EMT],
  burn: () => [escrow.address.node],
};
const nodeOf = (part: number) => escrow.address[nodes[part % 3] as Role];
const registryActs = {
  createOrganisation: (_jobId: string, part: number) => [`organisation ${part % 3}`],
  offerOrganisation: (_jobId: string, part: number) => [id('node'), nodeOf(part)],
  takeOrganisation: () => [id('node')],
  // A node that is not the caller would have to sign.
  register: (_jobId: string, part: number, by: Role) => [
    enrolmentOf(escrow.address[by], { organisation: id(part % 2 ? 'node' : `organisation ${part % 3}`) }),
    BigInt(10 + part) * EMT,
    '0x',
  ],
  addStake: (_jobId: string, part: number) => [nodeOf(part), BigInt(part) * EMT],
  setCapability: (_jobId: string, part: number) => [nodeOf(part), id(`${part}`), 'https://c.example.org', part],
  deactivate: (_jobId: string, part: number) => [nodeOf(part)],
  reactivate: (_jobId: string, part: number) => [nodeOf(part)],
  withdrawStake: (_jobId: string, part: number) => [nodeOf(part)],
  proposePayout: (_jobId: string, part: number, by: Role) => [nodeOf(part), escrow.address[by]],
  confirmPayout: (_jobId: string, part: number) => [nodeOf(part)],
  cancelPayoutChange: (_jobId: string, part: number) => [nodeOf(part)],
};
const poolActs = { claimSlots: () => [recentSlots()] };
const acts = { ...coreActs, ...registryActs, ...poolActs };
type Act = keyof typeof acts;

function contractOf(act: Act): ContractName {
  if (act in poolActs) return 'pool';
  return act in registryActs ? 'registry' : 'core';
}

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
  claimSlots: 'node',
  deactivate: 'node',
  reactivate: 'node',
  withdrawStake: 'node',
  proposePayout: 'node',
};
const step = fc.record({
  // Mostly what the job's state calls for, so that jobs get far.
  act: fc.oneof(
    { weight: 2, arbitrary: fc.constant<Act>('request') },
    { weight: 10, arbitrary: fc.constant('advance' as const) },
    { weight: 3, arbitrary: fc.constantFrom(...(Object.keys(coreActs) as Act[])) },
    { weight: 3, arbitrary: fc.constantFrom(...(Object.keys(registryActs) as Act[])) },
    { weight: 1, arbitrary: fc.constant<Act>('claimSlots') },
  ),
  role: fc.constantFrom(...roles),
  isUsual: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
  job: fc.nat(2),
  part: fc.integer({ min: 0, max: 16 }),
  seconds: fc.oneof(
    { weight: 20, arbitrary: fc.constant(0) },
    fc.constantFrom(1900, 3700, 86_400, 86_400, 90 * 86_400 + 1),
  ),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const next: Partial<Record<ChainState, readonly Act[]>> = {
  REQUESTED: ['process', 'process', 'process', 'cancel', 'expire'],
  PROCESSING: ['submit', 'submit', 'submit', 'decline', 'timeout'],
  SUBMITTED: ['verify', 'verify', 'accept', 'rejectResult', 'challenge', 'finalize'],
  DISPUTED: ['verify', 'rejectResult', 'unwind'],
  VERIFIED: ['payWorkers', 'claimPay', 'claimPay', 'sweepUnclaimed'],
};

let today = 0;
const recentSlots = () => Array.from({ length: 5 }, (_, i) => today - 4 + i);

/** Does one step, refused or not. */
async function perform({ act: wanted, role, isUsual, job, part, seconds }: Step): Promise<void> {
  if (seconds) await escrow.warp(seconds);
  today = Number((await escrow.now()) / 86_400n);
  const jobId = jobIds.at(-1 - job) ?? `0x${'00'.repeat(16)}`;
  const fitting = next[await escrow.state(jobId)] ?? ['request'];
  const act = wanted === 'advance' ? (fitting[part % fitting.length] as Act) : wanted;
  const by = isUsual ? (usual[act] ?? role) : role;
  try {
    if (act === 'request') await requestBy(by);
    else await escrow.on[contractOf(act)].send(by, act, ...acts[act](jobId, part, by));
  } catch (error) {
    expect(String(error)).toMatch(/EmethCore_|NodeRegistry_|RewardPool_/);
  }
}

async function requestBy(by: Role) {
  const salt = `0x${(jobIds.length + 1).toString(16).padStart(64, '0')}`;
  const deadline = (await escrow.now()) + 1800n;
  const sent = await escrow.send(by, 'request', 'sha256:00', '{}', 10n ** 21n, 1_000_000n, deadline, salt);
  jobIds.push(sent.events[0]!.args['jobId']);
}

/** Both models, fed with every log there is and nothing else. */
async function replay() {
  const [core, registry] = [new EscrowModel(), new RegistryModel()];
  for (const event of await escrow.history('core')) core.apply(event);
  for (const name of ['registry', 'pool'] as const) {
    for (const event of await escrow.history(name)) registry.apply(event);
  }
  return { core, registry };
}

async function compareCore(model: EscrowModel): Promise<void> {
  expect(await escrow.readToken('balanceOf', escrow.core)).toBe(model.liabilitiesWei());
  for (const role of roles) {
    const account = getAddress(escrow.address[role]);
    expect([role, await escrow.read('credit', account)]).toEqual([role, model.credits.get(account) ?? 0n]);
    expect(await escrow.read('forfeited', account)).toBe(model.penalties.get(account) ?? 0n);
    expect(await escrow.read('isActive', account)).toBe(model.active.get(account) ?? false);
  }
  for (const [key, burnt] of model.slots) {
    const [slot, node] = key.split(':');
    const stored = node ? escrow.read('slotBurntBy', slot, node) : escrow.read('slotBurnt', slot);
    expect(await stored).toBe(burnt);
  }
  for (const jobId of jobIds) {
    const { payout } = await escrow.read<{ payout: bigint }>('jobs', jobId);
    const job = model.jobs.get(jobId);
    expect([await escrow.state(jobId), payout]).toEqual([job?.state, job?.payoutWei]);
  }
}

async function compareRegistry(model: RegistryModel): Promise<void> {
  const { registry, pool } = escrow.on;
  expect(await escrow.readToken('balanceOf', registry.address)).toBe(model.stakesWei());
  expect(await registry.read('nodeCount')).toBe(BigInt(model.nodes.size));
  for (const [node, expected] of model.nodes) {
    const stored = await registry.read<Record<string, unknown>>('nodeOf', node);
    const { status, organisation, payout, nextPayout, stake, computeUnits, operator } = stored;
    expect({
      status: nodeStatuses[Number(status)],
      organisation,
      payout,
      nextPayout,
      stakeWei: stake,
      computeUnits,
    }).toEqual(expected);
    expect(operator).toBe(model.owners.get(expected.organisation));
  }
  const minted = [...model.claimed.values()].reduce((sum, amount) => sum + amount, 0n);
  expect(await pool.read('minted')).toBe(minted);
  for (const key of model.claimed.keys()) expect(await pool.read('reward', ...key.split(':').reverse())).toBe(0n);
}

test(
  'the logs replay to what storage holds, and the balances are what is owed',
  async () => {
    const sequence = fc.array(step, { minLength: 80, maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(sequence, async (steps) => {
        await escrow.reset();
        jobIds = [];
        for (const each of steps) await perform(each);
        const { core, registry } = await replay();
        await compareCore(core);
        await compareRegistry(registry);
      }),
      { numRuns: HISTORIES, endOnFailure: true },
    );
  },
  HISTORIES * 6000,
);

/** The gas of every call of the escrow, measured on anvil, with its gate and its snapshot. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Signature, Wallet } from 'ethers';
import { buildPayouts } from '../../src/chain/acts/payouts';
import { devKeys } from '../../src/runner/anvil';
import {
  afterVerdict,
  afterWork,
  commitmentOf,
  dataset,
  type Escrow,
  FEE,
  FUEL,
  params,
  type Role,
  reasonHash,
  result,
  resultHash,
  USED,
} from './escrow';

/**
 * Gas per call: of the EmethCore of 2023 (its median, where it has such a call), and the most that is allowed
 * now.
 */
const gatedCalls = {
  'request, tokens pulled': { of2023: 457_289, gate: 110_000 },
  'request, prepaid': { of2023: 457_289, gate: 95_000 },
  // In 2023 these were two transactions.
  'permit and request': { of2023: 486_445, gate: 125_000 },
  'process, tokens pulled': { of2023: 141_438, gate: 60_000 },
  'process, prepaid': { of2023: 141_438, gate: 42_000 },
  submit: { of2023: 148_058, gate: 60_000 },
  'verify, first in the slot': { of2023: 203_988, gate: 120_000 },
  'verify, later in the slot': { of2023: 107_959, gate: 75_000 },
  cancel: { of2023: 56_266, gate: 42_000 },
  decline: { of2023: 78_203, gate: 50_000 },
  timeout: { of2023: 54_644, gate: 50_000 },
  reject: { of2023: 89_165, gate: 50_000 },
  'happy path': { of2023: 1_009_085, gate: 330_000 },
} as const;
/**
 * The same calls where requester, node, verifier and a stranger have no credit. Only the storage words of the
 * requester and the stranger are empty then: those of a node and a verifier also hold their roles. No gate:
 * an account gets here only with its first credit, and again after it withdrew everything.
 */
const zeroCreditCalls = {
  'verify, first in the slot, credit zero': { of2023: 203_988, gate: undefined },
  'verify, later in the slot, credit zero': { of2023: 107_959, gate: undefined },
  'cancel, credit zero': { of2023: 56_266, gate: undefined },
  'decline, credit zero': { of2023: 78_203, gate: undefined },
  'timeout, credit zero': { of2023: 54_644, gate: undefined },
  'reject, credit zero': { of2023: 89_165, gate: undefined },
} as const;
/** Calls without a gate, most of them without a counterpart of 2023. */
const furtherCalls = {
  "timeout, caller's credit zero": { of2023: 54_644, gate: undefined },
  'decline, too late for another': { of2023: 78_203, gate: undefined },
  accept: { of2023: undefined, gate: undefined },
  finalize: { of2023: undefined, gate: undefined },
  'challenge, prepaid': { of2023: undefined, gate: undefined },
  'verify, disputed': { of2023: undefined, gate: undefined },
  'reject, disputed': { of2023: undefined, gate: undefined },
  claimPay: { of2023: undefined, gate: undefined },
  'payWorkers, four of them': { of2023: undefined, gate: undefined },
  withdraw: { of2023: undefined, gate: undefined },
} as const;
export const gasTable = { ...gatedCalls, ...zeroCreditCalls, ...furtherCalls };
export type GasCall = keyof typeof gasTable;
export const gasCalls = Object.keys(gasTable) as GasCall[];

type Measured = Record<GasCall, number>;

const snapshotFile = join(__dirname, '../contracts/gas.json');
const RENEW = 'npm run gas -- --update';

/** Returns the gas of each call in the snapshot. */
export function readGasSnapshot(): Measured {
  return JSON.parse(readFileSync(snapshotFile, 'utf8')) as Measured;
}

/** Writes the snapshot, in the order of the table. */
export function writeGasSnapshot(used: Measured): void {
  const ordered = Object.fromEntries(gasCalls.map((call) => [call, used[call]]));
  writeFileSync(snapshotFile, `${JSON.stringify(ordered, null, 2)}\n`);
}

/** Returns a message for a call that differs from the snapshot by 1 % or more; undefined otherwise. */
export function gasDeviation(call: string, used: number, snapshot: number): string | undefined {
  const percent = (100 * (used - snapshot)) / snapshot;
  if (Math.abs(percent) < 1) return undefined;
  const figures = `${call} takes ${used} gas, ${Math.abs(percent).toFixed(1)} % ${percent > 0 ? 'more' : 'less'} than the ${snapshot} of the snapshot`;
  const remedy =
    percent > 0 ? 'Make it cheaper, or renew the snapshot if it is worth it' : 'Renew the snapshot to keep the gain';
  return `${figures}. ${remedy}: ${RENEW}`;
}

/**
 * Measures as the figures of 2023 were measured: after one whole job, each call in its own transaction.
 * Unless the table says otherwise, every account that gets credit already has some.
 */
export async function measureGas(escrow: Escrow): Promise<Measured> {
  const used = {} as Measured;
  await measureGated(escrow, used);
  await measureWithoutCredit(escrow, used);
  await measureFurther(escrow, used);
  return used;
}

async function measureGated(escrow: Escrow, used: Measured): Promise<void> {
  const { send, warp, payoutRoot } = escrow;
  const gas = async (call: GasCall, ...sent: Parameters<typeof send>) => {
    used[call] = Number((await send(...sent)).gasUsed);
  };
  await wholeJob(escrow);
  await drain(escrow);

  const job = await request(escrow, used, 'request, tokens pulled');
  await gas('process, tokens pulled', 'node', 'process', job);
  await gas('submit', 'node', 'submit', job, resultHash, USED, payoutRoot, result);
  const verdict = await send('verifier', 'verify', job, commitmentOf(payoutRoot), '0x');
  // Here requester and node have no credit, the most expensive case.
  used['happy path'] =
    used['request, tokens pulled'] + used['process, tokens pulled'] + used['submit'] + Number(verdict.gasUsed);

  await send('requester', 'deposit', escrow.address.requester, FEE * 20n);
  await send('node', 'deposit', escrow.address.node, FEE * 20n);
  const prepaid = await request(escrow, used, 'request, prepaid');
  await gas('process, prepaid', 'node', 'process', prepaid);
  await gas(
    'verify, later in the slot',
    'verifier',
    'verify',
    await escrow.jobIn('SUBMITTED'),
    commitmentOf(payoutRoot),
    '0x',
  );

  await gas('cancel', 'requester', 'cancel', await escrow.jobIn('REQUESTED'));
  await gas('decline', 'node', 'decline', await escrow.jobIn('PROCESSING'));
  await gas(
    'reject',
    'verifier',
    'rejectResult',
    await escrow.jobIn('SUBMITTED'),
    commitmentOf(payoutRoot),
    reasonHash,
    '0x',
  );
  const early = await escrow.jobIn('SUBMITTED');
  await warp(24 * 3600);
  await gas('verify, first in the slot', 'verifier', 'verify', early, commitmentOf(payoutRoot), '0x');
  const late = await escrow.jobIn('PROCESSING');
  await warp(afterWork);
  // A caller other than the requester costs one more storage write, for the tip.
  await send('stranger', 'deposit', escrow.address.stranger, FEE);
  await gas('timeout', 'stranger', 'timeout', late);

  await drain(escrow);
  await escrow.sendToken('requester', 'approve', escrow.core, 0n);
  await permitAndRequest(escrow, 'first');
  used['permit and request'] = await permitAndRequest(escrow, 'second');
  await escrow.sendToken('requester', 'approve', escrow.core, 2n ** 256n - 1n);
}

type ZeroCreditCall = keyof typeof zeroCreditCalls;
type FurtherCall = keyof typeof furtherCalls;

async function measureWithoutCredit(escrow: Escrow, used: Measured): Promise<void> {
  const { send, warp, jobIn } = escrow;
  const verdict = commitmentOf(escrow.payoutRoot);
  const gas = async (call: ZeroCreditCall, role: Role, method: string, job: string, ...rest: unknown[]) => {
    await drain(escrow);
    used[call] = Number((await send(role, method, job, ...rest)).gasUsed);
  };
  await gas('cancel, credit zero', 'requester', 'cancel', await jobIn('REQUESTED'));
  await gas('decline, credit zero', 'node', 'decline', await jobIn('PROCESSING'));
  const rejected = await jobIn('SUBMITTED');
  await gas('reject, credit zero', 'verifier', 'rejectResult', rejected, verdict, reasonHash, '0x');
  const [first, later] = [await jobIn('SUBMITTED'), await jobIn('SUBMITTED')];
  await warp(24 * 3600);
  await gas('verify, first in the slot, credit zero', 'verifier', 'verify', first, verdict, '0x');
  await gas('verify, later in the slot, credit zero', 'verifier', 'verify', later, verdict, '0x');
  const late = await jobIn('PROCESSING');
  await warp(afterWork);
  await gas('timeout, credit zero', 'stranger', 'timeout', late);
}

async function measureFurther(escrow: Escrow, used: Measured): Promise<void> {
  const { send, warp, jobIn, address, payoutRoot, payees, proofOf } = escrow;
  const verdict = commitmentOf(payoutRoot);
  const gas = async (call: FurtherCall, ...sent: Parameters<typeof send>) => {
    used[call] = Number((await send(...sent)).gasUsed);
  };
  const abandoned = await jobIn('PROCESSING');
  await warp(afterWork);
  await drain(escrow);
  for (const role of creditors) if (role !== 'stranger') await send(role, 'deposit', address[role], FEE * 20n);
  await gas("timeout, caller's credit zero", 'stranger', 'timeout', abandoned);

  const late = await jobIn('PROCESSING');
  await warp(afterWork - 30);
  await gas('decline, too late for another', 'node', 'decline', late);
  const unjudged = await jobIn('SUBMITTED');
  await warp(afterVerdict);
  // From here on no verdict is the first in its slot.
  await send('verifier', 'verify', await jobIn('SUBMITTED'), verdict, '0x');
  await gas('finalize', 'stranger', 'finalize', unjudged);
  await gas('accept', 'requester', 'accept', await jobIn('SUBMITTED'));
  const [good, bad] = [await jobIn('SUBMITTED'), await jobIn('DISPUTED')];
  await gas('challenge, prepaid', 'challenger', 'challenge', good);
  await gas('verify, disputed', 'verifier', 'verify', good, verdict, '0x');
  await gas('reject, disputed', 'verifier', 'rejectResult', bad, verdict, reasonHash, '0x');
  const { worker, amount } = payees[0]!;
  await gas('claimPay', 'stranger', 'claimPay', good, resultHash, payoutRoot, 0, worker, amount, proofOf(0));
  const four = await verifiedForFour(escrow);
  await gas('payWorkers, four of them', 'stranger', 'payWorkers', four.job, resultHash, four.payees);
  await gas('withdraw', 'node', 'withdraw', address.node, FEE);
}

/** Makes a verified job whose payout four workers share. */
async function verifiedForFour({ send, jobIn, address }: Escrow) {
  const workers = (['node', 'worker', 'other', 'stranger'] as const).map((role) => address[role]);
  const payees = workers.map((worker) => ({ worker, amount: (FEE * USED) / FUEL / 4n }));
  const { root } = buildPayouts(payees.map(({ worker, amount }, index) => ({ index, worker, amountWei: amount })));
  const job = await jobIn('PROCESSING');
  await send('node', 'submit', job, resultHash, USED, root, result);
  await send('verifier', 'verify', job, commitmentOf(root), '0x');
  return { job, payees };
}

async function request(escrow: Escrow, used: Measured, call: GasCall): Promise<string> {
  const deadline = (await escrow.now()) + 3600n;
  const sent = await escrow.send('requester', 'request', dataset, params, FEE, FUEL, deadline, saltOf(call));
  used[call] = Number(sent.gasUsed);
  return sent.events.find((event) => event.name === 'JobRequested')!.args['jobId'] as string;
}

/** Brings one job to its end and pays its workers. */
async function wholeJob(escrow: Escrow): Promise<void> {
  const job = await escrow.jobIn('SUBMITTED');
  await escrow.send('verifier', 'verify', job, commitmentOf(escrow.payoutRoot), '0x');
  await escrow.send('stranger', 'payWorkers', job, resultHash, escrow.payees);
}

/** The roles that get credit from the measured calls. */
const creditors = ['requester', 'node', 'verifier', 'challenger', 'stranger', 'worker', 'other'] as const;

/** Withdraws all credit, so that the next call pulls tokens, or gives a first credit. */
async function drain(escrow: Escrow): Promise<void> {
  const credits = await escrow.credits();
  for (const role of creditors) {
    if (credits[role] > 0n) await escrow.send(role, 'withdraw', escrow.address[role], credits[role]);
  }
}

async function permitAndRequest(escrow: Escrow, salt: string): Promise<number> {
  const wallet = new Wallet(devKeys[1]);
  const value = (FEE * 110n) / 100n;
  const deadline = (await escrow.now()) + 3600n;
  const domain = { name: 'Emeth', version: '1', chainId: 31337, verifyingContract: escrow.token };
  const fields = ['owner', 'spender', 'value', 'nonce', 'deadline'];
  const types = { Permit: fields.map((name) => ({ name, type: /er$/.test(name) ? 'address' : 'uint256' })) };
  const nonce = await escrow.readToken('nonces', wallet.address);
  const message = { owner: wallet.address, spender: escrow.core, value, nonce, deadline };
  const { v, r, s } = Signature.from(await wallet.signTypedData(domain, types, message));
  const job = [dataset, params, FEE, FUEL, deadline, saltOf(salt)];
  return Number((await escrow.send('requester', 'requestWithPermit', ...job, value, deadline, v, r, s)).gasUsed);
}

function saltOf(text: string): string {
  return `0x${Buffer.from(text).toString('hex').padStart(64, '0').slice(-64)}`;
}

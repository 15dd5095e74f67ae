import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Signature, Wallet } from 'ethers';
import { devKeys } from '../../src/runner/anvil';
import {
  afterWork,
  commitmentOf,
  dataset,
  type Escrow,
  FEE,
  FUEL,
  openEscrow,
  params,
  reasonHash,
  result,
  resultHash,
  USED,
} from '../support/escrow';

/** Most gas a call may take, whatever the snapshot says. */
const gates = {
  'request, tokens pulled': 110_000,
  'request, prepaid': 95_000,
  'permit and request': 125_000,
  'process, tokens pulled': 60_000,
  'process, prepaid': 42_000,
  submit: 60_000,
  'verify, first in the slot': 120_000,
  'verify, later in the slot': 75_000,
  cancel: 42_000,
  decline: 50_000,
  timeout: 50_000,
  // Three accounts are credited, a penalty is booked, and the verdict names what it judges.
  reject: 55_000,
  'happy path': 330_000,
} as const;
type Call = keyof typeof gates;

/** Gas is deterministic: the file holds what each call took when it was last looked at. `UPDATE_GAS=1` writes it anew. */
const snapshotFile = join(__dirname, 'gas.json');
const SLACK = 1.01;

let escrow: Escrow;
const used = {} as Record<Call, number>;

beforeAll(async () => {
  escrow = await openEscrow();
  await measure();
});
afterAll(() => escrow[Symbol.asyncDispose]());

test('default', () => {
  if (process.env['UPDATE_GAS']) writeFileSync(snapshotFile, `${JSON.stringify(used, null, 2)}\n`);
  const snapshot = JSON.parse(readFileSync(snapshotFile, 'utf8')) as Record<Call, number>;
  const rows = (Object.keys(gates) as Call[]).map((call) => [call, used[call], snapshot[call], gates[call]]);
  process.stdout.write(
    `${['call', 'gas', 'snapshot', 'gate'].join('\t')}\n${rows.map((r) => r.join('\t')).join('\n')}\n`,
  );

  expect(Object.keys(snapshot).sort()).toEqual(Object.keys(gates).sort());
  for (const call of Object.keys(gates) as Call[]) {
    expect([call, used[call] <= gates[call]]).toEqual([call, true]);
    expect([call, used[call] <= snapshot[call] * SLACK]).toEqual([call, true]);
  }
});

/** As the numbers these are compared with were taken: one whole job before, each call a transaction of its own. */
async function measure(): Promise<void> {
  const { send, warp, payoutRoot } = escrow;
  const gas = async (call: Call, ...sent: Parameters<typeof send>) => {
    used[call] = Number((await send(...sent)).gasUsed);
  };
  await wholeJob();
  await drain();

  const job = await request('request, tokens pulled');
  await gas('process, tokens pulled', 'node', 'process', job);
  await gas('submit', 'node', 'submit', job, resultHash, USED, payoutRoot, result);
  const verdict = await send('verifier', 'verify', job, commitmentOf(payoutRoot), []);
  // Here requester and node have no credit yet, the dearest case there is.
  used['happy path'] =
    used['request, tokens pulled'] + used['process, tokens pulled'] + used['submit'] + Number(verdict.gasUsed);

  await send('requester', 'deposit', escrow.address.requester, FEE * 20n);
  await send('node', 'deposit', escrow.address.node, FEE * 20n);
  const prepaid = await request('request, prepaid');
  await gas('process, prepaid', 'node', 'process', prepaid);
  await gas(
    'verify, later in the slot',
    'verifier',
    'verify',
    await escrow.jobIn('SUBMITTED'),
    commitmentOf(payoutRoot),
    [],
  );
  // The first penalty of all opens the book of penalties; that is nobody's usual case.
  await send('node', 'decline', prepaid);

  await gas('cancel', 'requester', 'cancel', await escrow.jobIn('REQUESTED'));
  await gas('decline', 'node', 'decline', await escrow.jobIn('PROCESSING'));
  await gas(
    'reject',
    'verifier',
    'rejectResult',
    await escrow.jobIn('SUBMITTED'),
    commitmentOf(payoutRoot),
    reasonHash,
    [],
  );
  const early = await escrow.jobIn('SUBMITTED');
  await warp(24 * 3600);
  await gas('verify, first in the slot', 'verifier', 'verify', early, commitmentOf(payoutRoot), []);
  const late = await escrow.jobIn('PROCESSING');
  await warp(afterWork);
  await gas('timeout', 'requester', 'timeout', late);

  await drain();
  await escrow.sendToken('requester', 'approve', escrow.core, 0n);
  await permitAndRequest('first');
  used['permit and request'] = await permitAndRequest('second');
}

async function request(call: Call): Promise<string> {
  const deadline = (await escrow.now()) + 3600n;
  const sent = await escrow.send('requester', 'request', dataset, params, FEE, FUEL, deadline, saltOf(call));
  used[call] = Number(sent.gasUsed);
  return sent.events.find((event) => event.name === 'JobRequested')!.args['jobId'] as string;
}

/** Brings one job to its end, workers paid. */
async function wholeJob(): Promise<void> {
  const job = await escrow.jobIn('SUBMITTED');
  await escrow.send('verifier', 'verify', job, commitmentOf(escrow.payoutRoot), []);
  await escrow.send('stranger', 'payWorkers', job, resultHash, escrow.payees);
}

/** Takes all credit out, so that the next call has to pull tokens. */
async function drain(): Promise<void> {
  const credits = await escrow.credits();
  for (const role of ['requester', 'node'] as const) {
    if (credits[role] > 0n) await escrow.send(role, 'withdraw', escrow.address[role], credits[role]);
  }
}

async function permitAndRequest(salt: string): Promise<number> {
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

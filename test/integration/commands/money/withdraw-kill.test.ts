/** `emeth withdraw` killed half-way, and the run after it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { type JsonRpcProvider, Wallet } from 'ethers';
import { Address, type JobId } from '../../../../src/domain/ids';
import { devKeys } from '../../../../src/runner/anvil';
import { builtCli, runInProcess } from '../../../support/cli';
import { tokenInterface } from '../../../support/escrow';
import { type HeldNode, type Hold, openHeldNode } from '../../../support/held-node';
import { FEE_WEI, openUnclaimedPay, type UnclaimedPay } from '../../../support/unclaimed-pay';

const DAY_S = 86_400;
const [, nodeKey] = devKeys;
const node = Address.parse(new Wallet(nodeKey).address);

let pay: UnclaimedPay;
let held: HeldNode;
let provider: JsonRpcProvider;
let snapshot: string;
let lives = 0;
/** A job with fewer claims than one transaction takes, and one with more. */
let jobs: { small: Owed; large: Owed };

/** What a run that knows of the job takes out, and the transactions it needs. */
interface Owed extends Standing {
  jobId: JobId;
}

/** The node worked itself: beside the claims it is owed credit, and the reward of a day. */
beforeAll(async () => {
  pay = await openUnclaimedPay();
  held = await openHeldNode(pay.client.url);
  provider = pay.client.provider;
  const [small, large] = [await jobOf(2), await jobOf(80)];
  await pay.verify([{ worker: node, amountWei: FEE_WEI }], { isPaid: true });
  await pay.client.warp(DAY_S);
  snapshot = await provider.send('evm_snapshot', []);
  const asNode = await pay.client.as(nodeKey);
  const { rewardWei, amountWei } = await asNode('withdraw', '--dry-run');
  const aloneWei = BigInt(String(rewardWei)) + BigInt(String(amountWei));
  jobs = {
    small: { jobId: small.jobId, wei: small.wei + aloneWei, sent: 2 },
    large: { jobId: large.jobId, wei: large.wei + aloneWei, sent: 3 },
  };
});

async function jobOf(claims: number): Promise<{ jobId: JobId; wei: bigint }> {
  const payouts = Array.from({ length: claims }, (_, i) => ({ worker: node, amountWei: 10n ** 16n + BigInt(i) }));
  return { jobId: await pay.verify(payouts), wei: payouts.reduce((sum, { amountWei }) => sum + amountWei, 0n) };
}

afterAll(async () => {
  await held[Symbol.asyncDispose]();
  await pay[Symbol.asyncDispose]();
});

/** The command line of a node that has forgotten nothing of this life, and everything of the one before. */
async function newLife(jobId: JobId): Promise<string[]> {
  await provider.send('evm_revert', [snapshot]);
  snapshot = await provider.send('evm_snapshot', []);
  lives += 1;
  const config = await pay.client.writeConfig(nodeKey, { endpoint: held.url, storageApi: pay.storageApi });
  const dataDir = pay.client.file(`life ${lives}`);
  await pay.giveReceipts(dataDir, [jobId]);
  return ['withdraw', '--config', config, '--data-dir', dataDir, '--json'];
}

/** Runs it to its end; tells what it moved and in how many transactions, counted from `before`. */
async function finish(argv: readonly string[], before: Standing): Promise<Standing> {
  const { status, talk } = await runInProcess(...argv);
  expect({ status, talk }).toMatchObject({ status: 0 });
  return difference(await standing(), before);
}

interface Standing {
  wei: bigint;
  sent: number;
}

async function standing(): Promise<Standing> {
  const data = tokenInterface.encodeFunctionData('balanceOf', [node]);
  const wei = BigInt(await provider.call({ to: pay.client.token, data }));
  return { wei, sent: await provider.getTransactionCount(node) };
}

function difference(after: Standing, before: Standing): Standing {
  return { wei: after.wei - before.wei, sent: after.sent - before.sent };
}

/** Runs it in a process of its own, and kills that when it asks the question. */
async function killAt(argv: readonly string[], hold: Hold): Promise<void> {
  const reached = held.holdAt(hold);
  const child = spawn(process.execPath, [builtCli(), ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  await Promise.race([reached, ended.then(([, talk]) => Promise.reject(new Error(`It ended before: ${talk}`)))]);
  child.kill('SIGKILL');
  const [out, , [, signal]] = await ended;
  expect({ out, signal }).toEqual({ out: '', signal: 'SIGKILL' });
}

const SENDING = 'eth_sendRawTransaction';

describe('killed, and run again: each act is done once, and all that is owed has come out', () => {
  test.each<[string, 'small' | 'large', Hold]>([
    ['when the first act is signed and stored', 'small', { method: SENDING, nth: 1, isForwarded: false }],
    ['when the first is mined, and nobody knows', 'small', { method: SENDING, nth: 1, isForwarded: true }],
    ['when one part is done, and the next one stored', 'large', { method: SENDING, nth: 2, isForwarded: false }],
    ['when all is mined, the rewards at last', 'small', { method: SENDING, nth: 2, isForwarded: true }],
  ])('killed, %s: the next run takes out the rest, nothing twice', async (_name, size, hold) => {
    const { jobId, ...owed } = jobs[size];
    const [argv, before] = [await newLife(jobId), await standing()];
    await killAt(argv, hold);
    expect(await finish(argv, before)).toEqual(owed);
  });

  test('first transaction still in the pool: the next run waits for it', async () => {
    const { jobId, ...owed } = jobs.small;
    const [argv, before] = [await newLife(jobId), await standing()];
    await provider.send('evm_setAutomine', [false]);
    await killAt(argv, { method: SENDING, nth: 1, isForwarded: true });
    // Its second count is of what is mined; the first one was of what the node knows.
    const reached = held.holdAt({ method: 'eth_getTransactionCount', nth: 2, isForwarded: true });
    const finished = finish(argv, before);
    const letGo = await Promise.race([reached, finished.then(() => Promise.reject(new Error('It did not look')))]);
    await provider.send('evm_mine', []);
    await provider.send('evm_setAutomine', [true]);
    letGo();
    expect(await finished).toEqual(owed);
  });
});

/** Kills a sender after each of its effects, each time in its own process, and checks the outcome. */
import { openSender, type SenderOptions } from '../../../../src/chain/sending/sender';
import type { JobId } from '../../../../src/domain/ids';
import { systemClock } from '../../../../src/lib/clock';
import { silentLogger } from '../../../../src/lib/logger';
import { devKeys } from '../../../../src/runner/anvil';
import { openStore, type Store } from '../../../../src/store/open';
import { type ChainAccounts, openChainAccounts, RECEIPT_LAG_MS } from '../../../support/chain-accounts';
import { coreInterface, roles } from '../../../support/escrow';
import { openScratch } from '../../../support/scratch';
import { effects } from '../../../support/sender-effects';
import {
  openSenderProcesses,
  type SenderProcess,
  type SenderProcesses,
  type SenderRun,
} from '../../../support/sender-process';

const EMT = 10n ** 18n;
const role = 'node';

/** A chain, and the processes that are killed on it. Two lanes work at the same time. */
interface Lane extends ChainAccounts {
  processes: SenderProcesses;
}

let lanes: Lane[];

beforeAll(async () => {
  const first = await openSenderProcesses();
  const opened = await Promise.all([openChainAccounts(), openChainAccounts()]);
  lanes = [{ ...(opened[0] as ChainAccounts), processes: first }];
  lanes.push({ ...(opened[1] as ChainAccounts), processes: await openSenderProcesses() });
}, 60_000);

afterAll(async () => {
  for (const { processes, ...accounts } of lanes) {
    await processes[Symbol.asyncDispose]();
    await accounts[Symbol.asyncDispose]();
  }
});

type Acts = SenderProcess['acts'];

interface Case {
  /** Resets the chain and returns the acts. */
  prepare(lane: Lane): Promise<{ acts: Acts; verify(): Promise<void> }>;
  options: SenderOptions;
  /** Nothing is mined until the process has died or replaced its transaction. */
  minesLate: boolean;
}

/** Returns an act that may be repeated after a decline, but would be refused if repeated now. */
async function takeJob(lane: Lane) {
  const jobId = (await lane.escrow.jobIn('REQUESTED')) as JobId;
  const data = coreInterface.encodeFunctionData('process', [jobId]);
  const act = { key: `${jobId}:process`, to: lane.escrow.core, data, repeatable: true };
  const verify = async () =>
    expect(await lane.chain.job(jobId)).toMatchObject({ state: 'PROCESSING', node: lane.escrow.address[role] });
  return { act, verify };
}

/**
 * Returns acts that the contract accepts any number of times: 1, 2, 4 … EMT, so that the sum shows which were
 * done, and how often.
 */
function deposits(lane: Lane, count: number): Acts {
  const { escrow } = lane;
  return Array.from({ length: count }, (_, i) => ({
    key: `deposit:${i}`,
    to: escrow.core,
    data: coreInterface.encodeFunctionData('deposit', [escrow.address.other, EMT << BigInt(i)]),
  }));
}

async function prepareDeposits(lane: Lane, count: number) {
  const verify = async () =>
    expect(await lane.chain.credit(lane.escrow.address.other)).toBe((EMT << BigInt(count)) - EMT);
  return { acts: deposits(lane, count), verify };
}

async function prepareBoth(lane: Lane) {
  const { act, verify } = await takeJob(lane);
  const [deposit] = deposits(lane, 1) as [Acts[number]];
  return {
    acts: [act, deposit],
    async verify() {
      await verify();
      expect(await lane.chain.credit(lane.escrow.address.other)).toBe(EMT);
    },
  };
}

/** Runs one process until its kill, and then its successor; returns the steps of the first. */
async function live(lane: Lane, { prepare, options, minesLate }: Case, killAfter: number) {
  const { escrow, chain, processes } = lane;
  await using scratch = await openScratch();
  await escrow.reset();
  const { acts, verify } = await prepare(lane);
  const noncesBefore = await chain.provider.getTransactionCount(escrow.address[role]);
  await escrow.provider.send('evm_setAutomine', [!minesLate]);
  const endpoint = escrow.provider._getConnection().url;
  const key = devKeys[roles.indexOf(role)] as string;
  const store = scratch.file('intents.sqlite');
  const run = processes.start({ endpoint, core: chain.core, token: chain.token, key, store, acts, options, killAfter });
  if (minesLate) await waitForReplacement(lane, run);
  await escrow.provider.send('evm_setAutomine', [true]);
  await escrow.provider.send('evm_mine', []);
  const { isKilled, steps } = await run.ended;
  expect(isKilled).toBe(steps.length === 0);

  await using reopened = await openStore({ kind: 'sqlite', path: store });
  await recover(lane, reopened, acts);
  await verify();
  const nonces = (await chain.provider.getTransactionCount(escrow.address[role])) - noncesBefore;
  const pending = await reopened.intents.listPending(escrow.address[role]);
  expect({ killAfter, nonces, pending }).toEqual({ killAfter, nonces: acts.length, pending: [] });
  return { isKilled, steps };
}

/**
 * Recovers as the owner of the account would after a crash: resumes pending acts, and sends the same acts
 * again.
 */
async function recover({ chain, walletOf }: Lane, { intents }: Store, acts: Acts): Promise<void> {
  const closing = new AbortController();
  const { signal } = closing;
  const deps = { chain, wallet: await walletOf(role), intents, clock: systemClock, logger: silentLogger, signal };
  const sender = openSender({ pollMs: 10, receiptLagMs: RECEIPT_LAG_MS }, deps);
  await sender.resume();
  const again = acts.map(async (act) => {
    const sent = sender.send(act);
    // A repeatable act is tried again; the contract refuses it because it was done.
    if (act.repeatable)
      await sent.catch((error) => expect(error).toMatchObject({ detail: { code: 'chain/reverted' } }));
    else await sent;
  });
  await Promise.all(again);
  while ((await intents.listPending(sender.address)).length > 0) await systemClock.sleep(10);
  closing.abort(new Error('over'));
}

/**
 * Kills after every effect, and before the first. Dying anywhere between two effects is the same for
 * everybody outside, because nothing else leaves the process. Returns the steps of a process that was not
 * killed.
 */
async function killEverywhere(tested: Case): Promise<string[]> {
  const { steps } = await live(lanes[0] as Lane, tested, Number.MAX_SAFE_INTEGER);
  let [killAfter, kills] = [-1, 0];
  const work = async (lane: Lane) => {
    // A process may have a few more effects than that one, so go on until none is killed.
    for (let isKilled = true; isKilled; ) {
      killAfter += 1;
      ({ isKilled } = await live(lane, tested, killAfter));
      if (isKilled) kills += 1;
    }
  };
  await Promise.all(lanes.map(work));
  expect(kills).toBeGreaterThanOrEqual(new Set(steps.filter((name) => effects.includes(name))).size);
  return steps;
}

/** Waits until two versions of the account's transaction were in the pool, or the process has ended. */
async function waitForReplacement({ escrow }: Lane, { ended }: SenderRun): Promise<void> {
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  const seen = new Set<string>();
  while (!isOver && seen.size < 2) {
    const { pending } = (await escrow.provider.send('txpool_content', [])) as Pool;
    for (const [address, byNonce] of Object.entries(pending)) {
      if (address.toLowerCase() === escrow.address[role]) {
        for (const { hash } of Object.values(byNonce)) seen.add(hash);
      }
    }
    await systemClock.sleep(10);
  }
}

interface Pool {
  pending: Record<string, Record<string, { hash: string }>>;
}

describe('sender killed after each effect', () => {
  test('act that may not be done twice, mined at once: done once', async () => {
    const steps = await killEverywhere({
      prepare: (lane) => prepareDeposits(lane, 1),
      options: { pollMs: 10 },
      minesLate: false,
    });
    const vital = ['begin', 'eth_estimateGas', 'saveAttempt', 'eth_sendRawTransaction', 'eth_getTransactionReceipt'];
    expect(steps).toEqual(expect.arrayContaining([...vital, 'markMined']));
  }, 300_000);

  test('two pending acts, one of them repeatable: each done once', async () => {
    const steps = await killEverywhere({ prepare: prepareBoth, options: { pollMs: 10 }, minesLate: false });
    expect(steps.filter((name) => name === 'markMined')).toHaveLength(2);
  }, 300_000);

  test('act stuck and replaced at a higher fee: done once', async () => {
    const steps = await killEverywhere({
      prepare: (lane) => prepareDeposits(lane, 1),
      options: { pollMs: 50, stuckMs: 50 },
      minesLate: true,
    });
    expect(steps.filter((name) => name === 'saveAttempt').length).toBeGreaterThanOrEqual(2);
    expect(steps.filter((name) => name === 'eth_sendRawTransaction').length).toBeGreaterThanOrEqual(2);
  }, 300_000);
});

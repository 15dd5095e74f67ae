/**
 * The logs alone rebuild the whole storage of the contracts, after one written history and many random ones.
 */
import fc from 'fast-check';
import { chainStates } from '../../src/domain/job';
import { eventNames, readEvents } from '../support/chain-log';
import { type Escrow, openEscrow } from '../support/escrow';
import { type ActName, type Acts, openActs } from '../support/escrow-acts';
import { EscrowModel, neverEmitted } from '../support/escrow-model';
import { findAccountsSlot, type Models, readStorage, scopeOf, viewOf } from '../support/escrow-storage';
import { anyChoice, type Choice, type Step, type Tally, Walk } from '../support/escrow-walk';
import { RegistryModel } from '../support/registry-model';

let escrow: Escrow;
let acts: Acts;
let accountsSlot: number;
let supply: bigint;
let jobIds: readonly string[];

beforeAll(async () => {
  escrow = await openEscrow();
  acts = openActs(escrow);
  accountsSlot = await findAccountsSlot(escrow);
  supply = await escrow.readToken('totalSupply');
});
beforeEach(async () => {
  await restart();
  jobIds = [];
});
afterAll(() => escrow?.[Symbol.asyncDispose]());

/** `npm run test:contracts:long` sets more. */
const HISTORIES = Number(process.env['EMETH_HISTORIES'] ?? 10);
/** A history that failed fails again with the same seed. */
const SEED = Number(process.env['EMETH_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Both models, fed with every log and nothing else, chain block by chain block. */
interface Replay extends Models {
  /** The names of the events. */
  seen: Set<string>;
  upTo: number;
}
let replay: Replay;

async function restart(): Promise<void> {
  await escrow.reset();
  replay = { core: new EscrowModel(), registry: new RegistryModel(), seen: new Set(), upTo: -1 };
}

async function follow(): Promise<void> {
  const events = await readEvents(escrow, Math.max(0, replay.upTo));
  for (const timed of events.filter(({ block }) => block > replay.upTo)) {
    replay.seen.add(timed.event.name);
    replay[timed.contract === 'core' ? 'core' : 'registry'].apply(timed);
  }
  replay.upTo = events.at(-1)?.block ?? replay.upTo;
}

/** Throws unless the events replay to the whole storage, or to its recent jobs and slots. */
async function compare(recent?: readonly string[]): Promise<void> {
  await follow();
  const scope = scopeOf(replay, escrow, await escrow.now(), recent ?? jobIds, recent !== undefined);
  const emission = (slot: bigint) => escrow.on.pool.read<bigint>('emission', slot);
  expect(await readStorage(escrow, accountsSlot, scope)).toEqual(await viewOf(replay, scope, { supply, emission }));
}

async function perform({ act, seconds, ...subject }: Step): Promise<void> {
  if (seconds) await escrow.warp(seconds);
  const jobId = await acts.perform(act, subject);
  if (jobId) jobIds = [...jobIds, jobId];
}

describe('a history in which everything happens', () => {
  const HOUR = 3600;
  const DAY = 24 * HOUR;
  const performed = new Set<string>();

  /** Performs acts by their usual roles, about the newest job; then compares the logs with the storage. */
  const play = async (...acted: (ActName | readonly [ActName, Partial<Step>])[]) => {
    for (const each of acted) {
      const [act, changes] = typeof each === 'string' ? [each, {}] : each;
      const usual = { by: acts.usual(act) ?? 'stranger', part: 3, jobId: jobIds.at(-1) ?? '', seconds: 0 };
      await perform({ act, ...usual, ...changes });
      performed.add(act);
    }
    await compare();
  };
  const submitted = ['request', 'process', ['submit', { part: 10 }]] as const;

  async function jobsWithoutResult(): Promise<void> {
    await play('requestWithPermit', 'cancel', 'request', ['expire', { seconds: HOUR }]);
    await play('request', 'process', 'decline', 'process', ['decline', { seconds: HOUR / 2 - 10 }]);
    await play('request', 'process', ['timeout', { seconds: HOUR }]);
  }

  async function verdicts(): Promise<void> {
    await play(...submitted, 'verify', ['claimPay', { part: 1 }], ['claimTwo', { part: 2 }]);
    await play(...submitted, 'accept', 'payWorkers');
    await play(...submitted, 'rejectResult', ['burn', { by: 'node' }]);
    await play(...submitted, ['finalize', { seconds: HOUR + 1 }], ['claimPay', { part: 0 }]);
    await play(['sweepUnclaimed', { seconds: 90 * DAY + 1 }], 'burn');
    await play(...submitted, ['challenge', { by: 'challenger' }], 'verify');
    await play(...submitted, ['challenge', { by: 'challenger', seconds: 60 }], 'rejectResult');
    await play(...submitted, ['challenge', { by: 'challenger' }], ['unwind', { seconds: HOUR + 1 }]);
    await play(['claimSlots', { seconds: DAY }]);
  }

  async function money(): Promise<void> {
    await play(['deposit', { part: 16 }], ['withdraw', { by: 'node' }], 'withdrawWithSig', 'depositAndWithdraw');
    await play('request', ['deposit', { part: 1 }], ['withdraw', { by: 'node', part: 1 }]);
  }

  async function registry(): Promise<void> {
    await play(
      'registerOther',
      ['addStake', { part: 2 }],
      ['setCapability', { by: 'node' }],
      ['proposePayout', { part: 0 }],
    );
    await play(['cancelPayoutChange', { by: 'node' }], 'proposePayout', ['confirmPayout', { seconds: 2 * DAY }]);
    await play(['cancelPayoutChange', { by: 'worker' }], 'deactivate', 'reactivate', 'deactivate');
    await play(['proposePayout', { part: 0 }], ['withdrawStake', { seconds: 7 * DAY }]);
    await play('createOrganisation', ['offerOrganisation', { part: 1 }], ['takeOrganisation', { by: 'other' }]);
    await play(
      ['confirmPayout', { part: 0 }],
      ['deactivate', { by: 'other', part: 2 }],
      ['register', { by: 'stranger', part: 0 }],
    );
  }

  async function government(): Promise<void> {
    await play(['setPaused', { part: 0 }], ['setPaused', { part: 1 }], ['grantRole', { part: 0 }]);
    // From here on two verifiers must agree.
    await play(['setTerms', { part: 3 }], 'setTerms', ['setRegistry', { part: 1 }], ...submitted, 'verifyBySignatures');
    await play(...submitted, 'rejectBySignatures');
    await play(
      ['setRegistry', { part: 3 }],
      'setActive',
      ['setActive', { part: 2 }],
      ['setRegistry', { part: 0 }],
      'sync',
    );
    await play(['revokeRole', { part: 1 }], ['renounceRole', { by: 'verifier2' }]);
    await play(['changeDefaultAdminDelay', { part: 1 }], 'rollbackDefaultAdminDelay', [
      'changeDefaultAdminDelay',
      { part: 3 },
    ]);
    await play(['changeDefaultAdminDelay', { part: 1 }], ['changeDefaultAdminDelay', { part: 2, seconds: 9 * DAY }]);
    await play(['beginDefaultAdminTransfer', { part: 0 }], ['beginDefaultAdminTransfer', { part: 1 }]);
    await play('cancelDefaultAdminTransfer', ['beginDefaultAdminTransfer', { part: 1 }]);
    await play(['acceptDefaultAdminTransfer', { by: 'stranger', seconds: 9 * DAY }]);
    await play(
      ['beginDefaultAdminTransfer', { by: 'stranger', part: 2 }],
      ['renounceAdmin', { by: 'stranger', seconds: 9 * DAY }],
    );
  }

  test('compared now and then: the logs replay to the storage', async () => {
    for (const chapter of [jobsWithoutResult, verdicts, money, registry, government]) await chapter();
    expect([...performed].sort()).toEqual(Object.values(acts.names).flat().sort());
    const events = (['core', 'registry', 'pool'] as const).flatMap(eventNames);
    const possible = new Set(events.filter((name) => !neverEmitted.includes(name as (typeof neverEmitted)[number])));
    expect([...replay.seen].sort()).toEqual([...possible].sort());
  });
});

describe('any history', () => {
  const STEPS = 200;
  /** The last steps, in which the administrator resigns. */
  const ENDING = 20;
  /** How often the important acts must succeed in ten histories; the others once. */
  const LEAST: Partial<Record<ActName, number>> = {
    ...{ request: 80, process: 80, submit: 60, verify: 5, verifyBySignatures: 8, accept: 4, finalize: 8 },
    ...{ rejectResult: 2, rejectBySignatures: 3, challenge: 8, timeout: 6, expire: 10, decline: 4, cancel: 4 },
    ...{ payWorkers: 5, claimPay: 20, claimTwo: 8, sweepUnclaimed: 4, unwind: 1 },
  };
  const tally: Tally = { acts: new Map(), states: new Map(), refused: new Map(), errands: 0 };

  async function walkBy(choices: readonly Choice[]): Promise<void> {
    await restart();
    const walk = new Walk(escrow, acts, tally);
    jobIds = walk.jobIds;
    for (const [i, choice] of choices.entries()) {
      if (i === STEPS - ENDING) walk.end();
      await walk.take(choice);
      if (i % 20 === 19) await compare([...walk.live, ...walk.jobIds.slice(-10)]);
    }
    await compare();
  }

  test(
    'random calls: the logs replay to the storage',
    async () => {
      const sequence = fc.array(anyChoice, { minLength: STEPS, maxLength: STEPS });
      await fc.assert(fc.asyncProperty(sequence, walkBy), { numRuns: HISTORIES, endOnFailure: true, seed: SEED });
    },
    HISTORIES * 30_000,
  );

  test('all histories together: every act and state, often enough', () => {
    const acted = Object.values(acts.names).flat();
    // Every seed tried so far gave several times as much.
    const scale = HISTORIES / 10;
    const tooSeldom = <K extends string>(names: readonly K[], counted: Map<K, number>, least: (name: K) => number) =>
      names
        .filter((name) => (counted.get(name) ?? 0) < Math.floor(least(name) * scale))
        .map((name) => `${name} ${counted.get(name) ?? 0} times with EMETH_SEED=${SEED}`);
    expect(tooSeldom(acted, tally.acts, (act) => LEAST[act] ?? 1)).toEqual([]);
    expect(tooSeldom(chainStates, tally.states, (state) => (state === 'NONE' ? 0 : 1))).toEqual([]);
    const successes = [...tally.acts.values()].reduce((sum, times) => sum + times, 0);
    expect({ seed: SEED, isEnough: successes > 0.7 * STEPS * HISTORIES }).toEqual({ seed: SEED, isEnough: true });
  });
});

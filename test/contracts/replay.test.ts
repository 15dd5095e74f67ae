import fc from 'fast-check';
import type { ChainState } from '../../src/domain/job';
import { eventNames, readEvents } from '../support/chain-log';
import { type Escrow, openEscrow, type Role, roles } from '../support/escrow';
import { type ActName, type Acts, openActs } from '../support/escrow-acts';
import { EscrowModel, neverEmitted } from '../support/escrow-model';
import { findAccountsSlot, type Models, readStorage, scopeOf, viewOf } from '../support/escrow-storage';
import { RegistryModel } from '../support/registry-model';

let escrow: Escrow;
let acts: Acts;
let accountsSlot: number;
let supply: bigint;
let jobIds: string[];

beforeAll(async () => {
  escrow = await openEscrow();
  acts = openActs(escrow);
  accountsSlot = await findAccountsSlot(escrow);
  supply = await escrow.readToken('totalSupply');
});
beforeEach(async () => {
  await escrow.reset();
  jobIds = [];
});
afterAll(() => escrow?.[Symbol.asyncDispose]());

/** `npm run test:contracts:long` asks for more. */
const HISTORIES = Number(process.env['EMETH_HISTORIES'] ?? 10);

/** Both models, fed with every log there is and nothing else. */
async function replay(): Promise<Models & { seen: Set<string> }> {
  const models = { core: new EscrowModel(), registry: new RegistryModel(), seen: new Set<string>() };
  for (const timed of await readEvents(escrow)) {
    models.seen.add(timed.event.name);
    models[timed.contract === 'core' ? 'core' : 'registry'].apply(timed);
  }
  return models;
}

/** Throws unless the events tell all that storage holds. The names of the events. */
async function compare(): Promise<Set<string>> {
  const { seen, ...models } = await replay();
  const scope = scopeOf(models, escrow, jobIds, await escrow.now());
  const emission = (slot: bigint) => escrow.on.pool.read<bigint>('emission', slot);
  expect(await readStorage(escrow, accountsSlot, scope)).toEqual(await viewOf(models, scope, { supply, emission }));
  return seen;
}

interface Step {
  act: ActName;
  by: Role;
  part: number;
  jobId: string;
  seconds: number;
}

async function perform({ act, seconds, ...subject }: Step): Promise<void> {
  if (seconds) await escrow.warp(seconds);
  const jobId = await acts.perform(act, subject);
  if (jobId) jobIds.push(jobId);
}

describe('a history in which everything happens', () => {
  const HOUR = 3600;
  const DAY = 24 * HOUR;
  const performed = new Set<string>();

  /** Acts of whoever usually does them, about the newest job; then the logs are compared with the storage. */
  const tell = async (...told: (ActName | readonly [ActName, Partial<Step>])[]) => {
    for (const each of told) {
      const [act, changes] = typeof each === 'string' ? [each, {}] : each;
      const usual = { by: acts.usual(act) ?? 'stranger', part: 3, jobId: jobIds.at(-1) ?? '', seconds: 0 };
      await perform({ act, ...usual, ...changes });
      performed.add(act);
    }
    await compare();
  };
  const submitted = ['request', 'process', ['submit', { part: 10 }]] as const;

  async function jobsWithoutResult(): Promise<void> {
    await tell('requestWithPermit', 'cancel', 'request', ['expire', { seconds: HOUR }]);
    await tell('request', 'process', 'decline', 'process', ['decline', { seconds: HOUR / 2 - 10 }]);
    await tell('request', 'process', ['timeout', { seconds: HOUR }]);
  }

  async function verdicts(): Promise<void> {
    await tell(...submitted, 'verify', ['claimPay', { part: 1 }], ['claimTwo', { part: 2 }]);
    await tell(...submitted, 'accept', 'payWorkers');
    await tell(...submitted, 'rejectResult', ['burn', { by: 'node' }]);
    await tell(...submitted, ['finalize', { seconds: HOUR + 1 }], ['claimPay', { part: 0 }]);
    await tell(['sweepUnclaimed', { seconds: 90 * DAY + 1 }], 'burn');
    await tell(...submitted, ['challenge', { by: 'challenger' }], 'verify');
    await tell(...submitted, ['challenge', { by: 'challenger', seconds: 60 }], 'rejectResult');
    await tell(...submitted, ['challenge', { by: 'challenger' }], ['unwind', { seconds: HOUR + 1 }]);
    await tell(['claimSlots', { seconds: DAY }]);
  }

  async function money(): Promise<void> {
    await tell(['deposit', { part: 16 }], ['withdraw', { by: 'node' }], 'withdrawWithSig', 'depositAndWithdraw');
    await tell('request', ['deposit', { part: 1 }], ['withdraw', { by: 'node', part: 1 }]);
  }

  async function registry(): Promise<void> {
    await tell(
      'registerOther',
      ['addStake', { part: 2 }],
      ['setCapability', { by: 'node' }],
      ['proposePayout', { part: 0 }],
    );
    await tell(['cancelPayoutChange', { by: 'node' }], 'proposePayout', ['confirmPayout', { seconds: 2 * DAY }]);
    await tell(['cancelPayoutChange', { by: 'worker' }], 'deactivate', 'reactivate', 'deactivate');
    await tell(['proposePayout', { part: 0 }], ['withdrawStake', { seconds: 7 * DAY }]);
    await tell('createOrganisation', ['offerOrganisation', { part: 1 }], ['takeOrganisation', { by: 'other' }]);
    await tell(
      ['confirmPayout', { part: 0 }],
      ['deactivate', { by: 'other', part: 2 }],
      ['register', { by: 'stranger', part: 0 }],
    );
  }

  async function government(): Promise<void> {
    await tell(['setPaused', { part: 0 }], ['setPaused', { part: 1 }], ['grantRole', { part: 0 }]);
    // From here on two verifiers must agree.
    await tell(['setTerms', { part: 3 }], 'setTerms', ['setRegistry', { part: 1 }], ...submitted, 'verifyBySignatures');
    await tell(...submitted, 'rejectBySignatures');
    await tell(
      ['setRegistry', { part: 3 }],
      'setActive',
      ['setActive', { part: 2 }],
      ['setRegistry', { part: 0 }],
      'sync',
    );
    await tell(['revokeRole', { part: 1 }], ['renounceRole', { by: 'verifier2' }]);
    await tell(['changeDefaultAdminDelay', { part: 1 }], 'rollbackDefaultAdminDelay', [
      'changeDefaultAdminDelay',
      { part: 3 },
    ]);
    await tell(['changeDefaultAdminDelay', { part: 1 }], ['changeDefaultAdminDelay', { part: 2, seconds: 9 * DAY }]);
    await tell(['beginDefaultAdminTransfer', { part: 0 }], ['beginDefaultAdminTransfer', { part: 1 }]);
    await tell('cancelDefaultAdminTransfer', ['beginDefaultAdminTransfer', { part: 1 }]);
    await tell(['acceptDefaultAdminTransfer', { by: 'stranger', seconds: 9 * DAY }]);
    await tell(
      ['beginDefaultAdminTransfer', { by: 'stranger', part: 2 }],
      ['renounceAdmin', { by: 'stranger', seconds: 9 * DAY }],
    );
  }

  test('default: every now and then the logs replay to what storage holds', async () => {
    for (const chapter of [jobsWithoutResult, verdicts, money, registry, government]) await chapter();
    expect([...performed].sort()).toEqual(Object.values(acts.names).flat().sort());
    const events = (['core', 'registry', 'pool'] as const).flatMap(eventNames);
    const possible = new Set(events.filter((name) => !neverEmitted.includes(name as (typeof neverEmitted)[number])));
    expect([...(await compare())].sort()).toEqual([...possible].sort());
  });
});

/** What a job's state calls for, so that jobs get far. */
const next: Partial<Record<ChainState, readonly ActName[]>> = {
  REQUESTED: ['process', 'process', 'process', 'cancel', 'expire'],
  PROCESSING: ['submit', 'submit', 'submit', 'decline', 'timeout'],
  SUBMITTED: ['verify', 'verify', 'verifyBySignatures', 'accept', 'rejectResult', 'challenge', 'finalize'],
  DISPUTED: ['verify', 'rejectResult', 'unwind'],
  VERIFIED: ['payWorkers', 'claimPay', 'claimPay', 'claimTwo', 'sweepUnclaimed'],
};

describe('any history', () => {
  const choice = fc.record({
    group: fc.oneof(
      { weight: 3, arbitrary: fc.constant('request' as const) },
      { weight: 20, arbitrary: fc.constant('advance' as const) },
      { weight: 4, arbitrary: fc.constant('job' as const) },
      { weight: 3, arbitrary: fc.constant('money' as const) },
      { weight: 6, arbitrary: fc.constant('registry' as const) },
      { weight: 2, arbitrary: fc.constant('governance' as const) },
      { weight: 2, arbitrary: fc.constant('pool' as const) },
    ),
    index: fc.nat(1000),
    role: fc.constantFrom(...roles),
    // Now and then it is somebody else who tries.
    isUsual: fc.integer({ min: 0, max: 9 }).map((n) => n > 0),
    job: fc.nat(2),
    part: fc.integer({ min: 0, max: 16 }),
    seconds: fc.oneof(
      { weight: 20, arbitrary: fc.constant(0) },
      fc.constantFrom(1900, 3700, 86_400, 86_400, 90 * 86_400 + 1),
    ),
  });
  type Choice = typeof choice extends fc.Arbitrary<infer S> ? S : never;

  async function namesFor(group: Choice['group'], jobId: string): Promise<readonly ActName[]> {
    if (group === 'request') return ['request', 'requestWithPermit'];
    if (group !== 'advance') return acts.names[group];
    return next[await escrow.state(jobId)] ?? ['request'];
  }

  /** Does what was chosen, refused or not. */
  async function attempt({ group, index, role, isUsual, job, part, seconds }: Choice): Promise<void> {
    const jobId = jobIds.at(-1 - job) ?? `0x${'00'.repeat(16)}`;
    const names = await namesFor(group, jobId);
    const act = names[index % names.length] as ActName;
    const by = isUsual ? (acts.usual(act) ?? role) : role;
    try {
      await perform({ act, by, part, jobId, seconds });
    } catch (error) {
      expect(String(error)).toMatch(/^Error: (EmethCore_|NodeRegistry_|RewardPool_|AccessControl)/);
    }
  }

  test(
    'the logs replay to what storage holds, and the balances are what is owed',
    async () => {
      const sequence = fc.array(choice, { minLength: 80, maxLength: 80 });
      await fc.assert(
        fc.asyncProperty(sequence, async (steps) => {
          await escrow.reset();
          jobIds = [];
          for (const each of steps) await attempt(each);
          await compare();
        }),
        { numRuns: HISTORIES, endOnFailure: true },
      );
    },
    HISTORIES * 6000,
  );
});

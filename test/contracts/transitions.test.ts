/** Every transition of a job with the money it moves, and every call that must be refused. */
import { id, parseEther } from 'ethers';
import { type ChainState, chainNext, chainStates } from '../../src/domain/job';
import {
  afterClaims,
  afterVerdict,
  afterWork,
  changes,
  commitmentOf,
  type Escrow,
  openEscrow,
  type Role,
  reasonHash,
  result,
  resultHash,
  USED,
} from '../support/escrow';

// The job of `openEscrow`: a fee of 1000, of which 60 % is used; 5 % for the verifier, 5 % of the payout
// burnt, 20 % penalty, 2 % for declining, 5 % of a penalty as tip. `penalties` is everything that waits to be
// burnt.

type Money = Partial<Record<Role | 'penalties', number>>;
type Call =
  | 'cancel'
  | 'expire'
  | 'process'
  | 'decline'
  | 'timeout'
  | 'submit'
  | 'verify'
  | 'accept'
  | 'finalize'
  | Later;
type Later = 'rejectResult' | 'challenge' | 'unwind' | 'payWorkers' | 'claimPay' | 'sweepUnclaimed';

interface Transition {
  from: ChainState;
  call: Call;
  by: Role;
  /** Seconds that pass before. */
  after?: number;
  to: ChainState;
  /** Credit added, by role, in EMT. */
  money: Money;
}

/** Every transition, with all the money it moves. */
const transitions: Transition[] = [
  { from: 'REQUESTED', call: 'cancel', by: 'requester', to: 'CANCELED', money: { requester: 1100 } },
  { from: 'REQUESTED', call: 'expire', by: 'stranger', after: afterWork, to: 'TIMEOUT', money: { requester: 1100 } },
  { from: 'REQUESTED', call: 'process', by: 'node', to: 'PROCESSING', money: {} },
  { from: 'PROCESSING', call: 'decline', by: 'node', to: 'REQUESTED', money: { node: 980, penalties: 20 } },
  {
    from: 'PROCESSING',
    call: 'decline',
    by: 'node',
    after: afterWork - 30,
    to: 'DECLINED',
    money: { node: 800, penalties: 200, requester: 1100 },
  },
  {
    from: 'PROCESSING',
    call: 'timeout',
    by: 'stranger',
    after: afterWork,
    to: 'TIMEOUT',
    money: { requester: 1100, node: 800, stranger: 10, penalties: 190 },
  },
  { from: 'PROCESSING', call: 'submit', by: 'node', to: 'SUBMITTED', money: {} },
  {
    from: 'SUBMITTED',
    call: 'verify',
    by: 'verifier',
    to: 'VERIFIED',
    money: { requester: 420, node: 1000, verifier: 50, penalties: 30 },
  },
  {
    from: 'SUBMITTED',
    call: 'verify',
    by: 'verifier',
    after: afterVerdict,
    to: 'VERIFIED',
    money: { requester: 420, node: 1000, verifier: 50, penalties: 30 },
  },
  {
    from: 'SUBMITTED',
    call: 'accept',
    by: 'requester',
    to: 'VERIFIED',
    money: { requester: 470, node: 1000, penalties: 30 },
  },
  {
    from: 'SUBMITTED',
    call: 'finalize',
    by: 'stranger',
    after: afterVerdict,
    to: 'VERIFIED',
    money: { requester: 470, node: 1000, penalties: 30 },
  },
  {
    from: 'SUBMITTED',
    call: 'rejectResult',
    by: 'verifier',
    to: 'FAILED',
    money: { requester: 1100, node: 800, verifier: 50, penalties: 150 },
  },
  { from: 'SUBMITTED', call: 'challenge', by: 'challenger', to: 'DISPUTED', money: {} },
  {
    from: 'DISPUTED',
    call: 'verify',
    by: 'verifier',
    to: 'VERIFIED',
    money: { requester: 420, node: 1100, verifier: 50, penalties: 130 },
  },
  {
    from: 'DISPUTED',
    call: 'rejectResult',
    by: 'verifier',
    to: 'FAILED',
    money: { requester: 1100, node: 800, verifier: 50, challenger: 250, penalties: 100 },
  },
  {
    from: 'DISPUTED',
    call: 'unwind',
    by: 'stranger',
    after: afterVerdict,
    to: 'UNVERIFIED',
    money: { requester: 1100, node: 1000, challenger: 200 },
  },
  {
    from: 'VERIFIED',
    call: 'payWorkers',
    by: 'stranger',
    to: 'VERIFIED',
    money: { node: 60, worker: 340, other: 200 },
  },
  { from: 'VERIFIED', call: 'claimPay', by: 'stranger', to: 'VERIFIED', money: { worker: 340 } },
  { from: 'VERIFIED', call: 'sweepUnclaimed', by: 'node', after: afterClaims, to: 'VERIFIED', money: { node: 600 } },
];
const calls = [...new Set(transitions.map(({ call }) => call))];
/** Tokens, in EMT, that a call adds to the contract's balance, where it moves any. */
const pulled: Partial<Record<Call, number>> = { process: 1000, challenge: 200 };

let escrow: Escrow;
beforeAll(async () => {
  escrow = await openEscrow();
});
beforeEach(() => escrow.reset());
afterAll(() => escrow?.[Symbol.asyncDispose]());

function argumentsOf(call: Call, jobId: string): unknown[] {
  const { payoutRoot, payees, proofOf } = escrow;
  if (call === 'submit') return [jobId, resultHash, USED, payoutRoot, result];
  if (call === 'verify') return [jobId, commitmentOf(payoutRoot), '0x'];
  if (call === 'rejectResult') return [jobId, commitmentOf(payoutRoot), reasonHash, '0x'];
  if (call === 'payWorkers') return [jobId, resultHash, payees];
  if (call !== 'claimPay') return [jobId];
  return [jobId, resultHash, payoutRoot, 1, payees[1]!.worker, payees[1]!.amount, proofOf(1)];
}

const inWei = (money: Money) =>
  Object.fromEntries(Object.entries(money).map(([role, amount]) => [role, parseEther(String(amount))]));
const held = () => escrow.readToken<bigint>('balanceOf', escrow.core);

async function perform({ from, call, by, after, to, money }: Transition) {
  const jobId = await escrow.jobIn(from);
  if (after) await escrow.warp(after);
  const [creditsBefore, heldBefore] = [await escrow.credits(), await held()];
  await escrow.send(by, call, ...argumentsOf(call, jobId));

  expect(await escrow.state(jobId)).toBe(to);
  expect(changes(creditsBefore, await escrow.credits())).toEqual(inWei(money));
  expect((await held()) - heldBefore).toBe(parseEther(String(pulled[call] ?? 0)));
  return jobId;
}

describe.each(transitions)('$from: $call by $by', (transition) => {
  test(`after ${transition.after ?? 0} s: state and money as in the table`, async () => {
    await perform(transition);
  });
});

describe('pause', () => {
  const exits = transitions.filter(({ call }) => call !== 'process');
  test.each(exits)('paused: $from still ends by $call', async (transition) => {
    const { send } = escrow;
    // No job can be made during a pause, so the pause begins after it.
    const jobIn = escrow.jobIn;
    const paused = {
      ...escrow,
      jobIn: async (state: ChainState) => {
        const jobId = await jobIn(state);
        await send('pauser', 'setPaused', true);
        return jobId;
      },
    };
    const unpaused = escrow;
    escrow = paused;
    try {
      await perform(transition);
    } finally {
      escrow = unpaused;
    }
  });

  test('request and process while paused: throw EmethCore_Paused', async () => {
    const jobId = await escrow.jobIn('REQUESTED');
    await escrow.send('pauser', 'setPaused', true);
    expect(await escrow.refusal('node', 'process', jobId)).toBe('EmethCore_Paused');
    await expect(escrow.request()).rejects.toThrow('EmethCore_Paused');
  });
});

test('every transition: the table of chain states has it, and no other', () => {
  const request = { from: 'NONE', to: 'REQUESTED' };
  const moves = [request, ...transitions].filter(({ from, to }) => from !== to).map(({ from, to }) => `${from} ${to}`);
  const table = Object.entries(chainNext).flatMap(([from, next]) => next.map((to) => `${from} ${to}`));
  expect(table.sort()).toEqual([...new Set(moves)].sort());
});

test.each(chainStates)('%s: every other call throws EmethCore_WrongState', async (state) => {
  const jobId = await escrow.jobIn(state);
  const allowed = transitions.filter(({ from }) => from === state).map(({ call }) => call);
  for (const call of calls.filter((name) => !allowed.includes(name))) {
    const by = transitions.find((transition) => transition.call === call)!.by;
    expect([call, await escrow.refusal(by, call, ...argumentsOf(call, jobId))]).toEqual([call, 'EmethCore_WrongState']);
  }
});

describe('guards', () => {
  const tooEarly = 'EmethCore_TooEarly';
  const tooLate = 'EmethCore_DeadlinePassed';
  test.each<[ChainState, Call, Role, number, string]>([
    ['REQUESTED', 'cancel', 'stranger', 0, 'EmethCore_NotRequester'],
    ['REQUESTED', 'expire', 'requester', 0, tooEarly],
    ['REQUESTED', 'process', 'node', afterWork, tooLate],
    ['PROCESSING', 'decline', 'stranger', 0, 'EmethCore_NotNode'],
    ['PROCESSING', 'decline', 'node', afterWork, tooLate],
    ['PROCESSING', 'timeout', 'requester', 0, tooEarly],
    ['PROCESSING', 'submit', 'stranger', 0, 'EmethCore_NotNode'],
    ['PROCESSING', 'submit', 'node', afterWork, tooLate],
    ['SUBMITTED', 'verify', 'node', 0, 'EmethCore_NotVerifier'],
    ['SUBMITTED', 'rejectResult', 'requester', 0, 'EmethCore_NotVerifier'],
    ['SUBMITTED', 'rejectResult', 'verifier', afterVerdict, tooLate],
    ['SUBMITTED', 'accept', 'node', 0, 'EmethCore_NotRequester'],
    ['SUBMITTED', 'finalize', 'node', 0, tooEarly],
    ['SUBMITTED', 'challenge', 'challenger', afterVerdict, tooLate],
    ['DISPUTED', 'verify', 'verifier', afterVerdict, tooLate],
    ['DISPUTED', 'rejectResult', 'verifier', afterVerdict, tooLate],
    ['DISPUTED', 'unwind', 'requester', 0, tooEarly],
    ['VERIFIED', 'sweepUnclaimed', 'stranger', afterClaims, 'EmethCore_NotNode'],
    ['VERIFIED', 'sweepUnclaimed', 'node', 0, tooEarly],
  ])('%s: %s by %s after %i s throws %s', async (from, call, by, after, error) => {
    const jobId = await escrow.jobIn(from);
    if (after) await escrow.warp(after);
    expect(await escrow.refusal(by, call, ...argumentsOf(call, jobId))).toBe(error);
  });

  test('more fuel than the limit: throws EmethCore_FuelAboveLimit', async () => {
    const jobId = await escrow.jobIn('PROCESSING');
    const args = [jobId, resultHash, 1_000_001n, escrow.payoutRoot, result];
    expect(await escrow.refusal('node', 'submit', ...args)).toBe('EmethCore_FuelAboveLimit');
  });

  test('verdict about another result: throws EmethCore_WrongResult', async () => {
    const jobId = await escrow.jobIn('SUBMITTED');
    for (const commitment of [commitmentOf(escrow.payoutRoot, id('another')), commitmentOf(resultHash)]) {
      expect(await escrow.refusal('verifier', 'verify', jobId, commitment, '0x')).toBe('EmethCore_WrongResult');
    }
  });
});

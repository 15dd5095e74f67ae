/** The seed of a verifier's draw: which block it comes from, and when. */
import { findDrawSeed } from '../../../src/app/draw-seed';
import { autoClock } from '../../support/auto-clock';

const SUBMITTED = 100;
const signal = new AbortController().signal;

/** A chain whose head rises by one block each time it is asked. */
function growingChain(chainId: number, first: number, finalized?: () => number) {
  let head = first;
  return {
    chainId,
    headBlock: async () => head++,
    endpoints: { ask: async <T>() => ({ result: { number: finalized?.() } as T, by: 0 }) },
    blockHash: async (number: number) => (number < head ? `hash of ${number}` : undefined),
  };
}

test.each([
  [0, 101],
  [2, 103],
  [5, 106],
])('%i confirmations: the next block, once the head is at %i', async (confirmations, expectedHead) => {
  const chain = growingChain(1, SUBMITTED);
  const finality = { confirmations, preferTag: false };
  expect(await findDrawSeed(SUBMITTED, { chain, finality, clock: autoClock(), signal })).toBe('hash of 101');
  // The head is counted up once more when it is read.
  expect(await chain.headBlock()).toBe(expectedHead + 1);
});

test('chain says what is final: its word counts, not the head', async () => {
  let finalized = 96;
  const chain = growingChain(1, 200, () => finalized++);
  const finality = { confirmations: 0, preferTag: true };
  expect(await findDrawSeed(SUBMITTED, { chain, finality, clock: autoClock(), signal })).toBe('hash of 101');
  expect(finalized).toBe(102);
});

test('blocks only with transactions: the block of the submission itself', async () => {
  const chain = growingChain(31337, SUBMITTED);
  const finality = { confirmations: 0, preferTag: false };
  expect(await findDrawSeed(SUBMITTED, { chain, finality, clock: autoClock(), signal })).toBe('hash of 100');
});

test('next block does not become final: given up after a minute', async () => {
  const clock = autoClock();
  const startMs = clock.now();
  const chain = { ...growingChain(1, SUBMITTED), headBlock: async () => SUBMITTED };
  const finding = findDrawSeed(SUBMITTED, { chain, finality: { confirmations: 2 }, clock, signal });
  await expect(finding).rejects.toMatchObject({ code: 'chain/block-not-final', detail: { block: 101 } });
  expect(clock.now() - startMs).toBeLessThan(2 * 60_000);
});

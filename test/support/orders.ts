/** Thousands of orders in which things can happen; a failure names the shortest list found, and the seed. */
import fc from 'fast-check';

const { EMETH_SEED, EMETH_ORDERS = '2000' } = process.env;

/**
 * Plays a state machine in many orders of steps. `EMETH_SEED` repeats those that failed, `EMETH_ORDERS` is
 * how many there are.
 */
export async function playOrders<Step>(
  step: fc.Arbitrary<Step>,
  longest: number,
  play: (steps: readonly Step[]) => void | Promise<void>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: longest, size: 'max' }), async (steps) => play(steps)),
    { numRuns: Number(EMETH_ORDERS), ...(EMETH_SEED === undefined ? {} : { seed: Number(EMETH_SEED) }) },
  );
}

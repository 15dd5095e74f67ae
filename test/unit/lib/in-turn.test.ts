/** Work queued in turn: its order, and independence of failures. */
import { inTurn } from '../../../src/lib/in-turn';

describe('inTurn', () => {
  test('default: one after another, in order, each with its own result', async () => {
    const queue = inTurn();
    const steps: string[] = [];
    const work = (name: string, turns: number) => async () => {
      steps.push(`${name} begins`);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      steps.push(`${name} ends`);
      return name;
    };
    const results = await Promise.all([queue(work('slow', 9)), queue(work('quick', 1))]);
    expect(results).toEqual(['slow', 'quick']);
    expect(steps).toEqual(['slow begins', 'slow ends', 'quick begins', 'quick ends']);
  });

  test('one fails: the next still runs', async () => {
    const queue = inTurn();
    const failed = queue(async () => {
      throw new Error('no');
    });
    const next = queue(async () => 'yes');
    await expect(failed).rejects.toThrow('no');
    await expect(next).resolves.toBe('yes');
  });
});

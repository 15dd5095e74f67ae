import { inTurn } from '../../../src/lib/in-turn';

describe('inTurn', () => {
  test('default: one after another, in order, each with its own result', async () => {
    const queue = inTurn();
    const said: string[] = [];
    const work = (name: string, turns: number) => async () => {
      said.push(`${name} begins`);
      for (let i = 0; i < turns; i++) await Promise.resolve();
      said.push(`${name} ends`);
      return name;
    };
    const results = await Promise.all([queue(work('slow', 9)), queue(work('quick', 1))]);
    expect(results).toEqual(['slow', 'quick']);
    expect(said).toEqual(['slow begins', 'slow ends', 'quick begins', 'quick ends']);
  });

  test('survives a failure: it is the failed one’s alone', async () => {
    const queue = inTurn();
    const failed = queue(async () => {
      throw new Error('no');
    });
    const next = queue(async () => 'yes');
    await expect(failed).rejects.toThrow('no');
    await expect(next).resolves.toBe('yes');
  });
});

/** Who closes what a function opened: the function when it fails, its caller when it succeeds. */
import { Openings } from '../../../src/app/openings';

/** Opens two resources as an opener does, and notes what is closed. */
async function openTwo(closed: string[], fail: boolean): Promise<AsyncDisposable> {
  const resource = (name: string) => ({ [Symbol.asyncDispose]: async () => void closed.push(name) });
  await using openings = new Openings();
  openings.add(resource('first'));
  openings.add(resource('second'));
  if (fail) throw new Error('the third cannot be opened');
  return openings.release();
}

describe('Openings', () => {
  test('a later step fails: everything is closed in reverse order', async () => {
    const closed: string[] = [];
    await expect(openTwo(closed, true)).rejects.toThrow('the third cannot be opened');
    expect(closed).toEqual(['second', 'first']);
  });

  test('handed over: the caller closes everything in reverse order', async () => {
    const closed: string[] = [];
    const opened = await openTwo(closed, false);
    expect(closed).toEqual([]);
    await opened[Symbol.asyncDispose]();
    expect(closed).toEqual(['second', 'first']);
  });
});

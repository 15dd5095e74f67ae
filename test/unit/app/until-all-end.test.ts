/** How a process waits for its parts. */
import { setTimeout as delay } from 'node:timers/promises';
import { untilAllEnd } from '../../../src/app/until-all-end';

/** Runs until the signal, and a little longer. */
async function serve(signal: AbortSignal, log: string[]): Promise<void> {
  await delay(60_000, undefined, { signal }).catch(() => undefined);
  await delay(1);
  log.push('ended');
}

describe('untilAllEnd', () => {
  test('all parts succeed: waits for all', async () => {
    const stop = new AbortController();
    const log: string[] = [];
    setTimeout(() => stop.abort(), 1);
    await untilAllEnd([serve(stop.signal, log), serve(stop.signal, log)], stop);
    expect(log).toEqual(['ended', 'ended']);
  });

  test('one part fails: stops the others, waits for them, throws its error', async () => {
    const stop = new AbortController();
    const log: string[] = [];
    const failing = delay(1).then(() => {
      throw new Error('beyond repair');
    });
    await expect(untilAllEnd([serve(stop.signal, log), failing], stop)).rejects.toThrow('beyond repair');
    expect(log).toEqual(['ended']);
  });

  test('stopping makes others fail too: throws the first error', async () => {
    const stop = new AbortController();
    const torn = delay(60_000, undefined, { signal: stop.signal });
    await expect(untilAllEnd([torn, Promise.reject(new Error('first'))], stop)).rejects.toThrow('first');
  });
});

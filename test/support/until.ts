/** Waiting for an asynchronous check, for tests. */
import { systemClock } from '../../src/lib/clock';

/** Less than the timeout of a test, so that a failing test also ends the loop. */
const LIMIT_MS = 30_000;

/** Polls until the check is true. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; !(await check()); ) {
    if (Date.now() > end) throw new Error('The check never became true');
    await systemClock.sleep(5);
  }
}

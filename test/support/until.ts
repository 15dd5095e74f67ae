import { systemClock } from '../../src/lib/clock';

/** Less than a test may take, so that a failure ends the loop as well as the test. */
const LIMIT_MS = 30_000;

/** Waits until the check holds. */
export async function until(check: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + LIMIT_MS; !(await check()); ) {
    if (Date.now() > end) throw new Error('It never came true');
    await systemClock.sleep(5);
  }
}

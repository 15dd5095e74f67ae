import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import type { Chain } from './client';

const POLL_MS = 300;
const PATIENCE_MS = 60_000;

/**
 * Waits until what the Ethereum node knows of the account's transactions is mined: what it still has before it, as a withdrawal of a
 * run that was cut short, would otherwise be counted as not done. Not for ever: one that is stuck needs a sender that pays more.
 */
export async function untilMined(
  { provider }: Pick<Chain, 'provider'>,
  account: Address,
  { clock, signal, onWait }: { clock: Clock; signal: AbortSignal; onWait(): void },
): Promise<void> {
  const known = await provider.getTransactionCount(account, 'pending');
  const endsAtMs = clock.now() + PATIENCE_MS;
  const isMined = async () => (await provider.getTransactionCount(account, 'latest')) >= known;
  if (await isMined()) return;
  onWait();
  do await clock.sleep(POLL_MS, signal);
  while (!(await isMined()) && clock.now() < endsAtMs);
}

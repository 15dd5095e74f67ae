/** Signs the acts of one account, each under its own nonce, and stores every version before it is sent. */
import { Transaction } from 'ethers';
import { holdsNonce, type Intent } from '../../domain/intent';
import type { Clock } from '../../lib/clock';
import type { Chain } from '../rpc/client';
import type { Price } from './fees';
import type { Act, IntentStore } from './intent-store';
import type { Wallet } from './wallet';

interface SigningDeps {
  chain: Chain;
  wallet: Wallet;
  intents: IntentStore;
  clock: Clock;
}

export class Signing {
  constructor(private readonly deps: SigningDeps) {}

  /** Number of the account's nonces that the chain has used. */
  minedCount(): Promise<number> {
    const { chain, wallet } = this.deps;
    return chain.provider.getTransactionCount(wallet.address, 'latest');
  }

  /**
   * Signs under the next free nonce and stores the result; if another process was faster, returns what that
   * one stored.
   */
  async sign(intent: Intent, act: Act, price: Price): Promise<Intent> {
    for (;;) {
      const stored = await this.signAt(await this.nextNonce(), intent, act, price);
      if (stored) return stored;
    }
  }

  /** Like `sign`, under this nonce. Returns undefined when another act of the account holds it. */
  async signAt(nonce: number, intent: Intent, act: Act, price: Price): Promise<Intent | undefined> {
    const { chain, wallet, intents, clock } = this.deps;
    const raw = await wallet.signer.signTransaction({ type: 2, chainId: chain.chainId, nonce, ...act, ...price });
    const attempt = {
      hash: Transaction.from(raw).hash ?? '',
      raw,
      maxFeePerGas: price.maxFeePerGas.toString(),
      maxPriorityFeePerGas: price.maxPriorityFeePerGas.toString(),
      atMs: clock.now(),
    };
    return intents.saveAttempt(intent.id, nonce, attempt, intent.attempts);
  }

  /**
   * Returns the chain's count of mined transactions, or one past the highest nonce that an act of the account
   * holds.
   */
  private async nextNonce(): Promise<number> {
    const { intents, wallet, clock } = this.deps;
    const atMs = clock.now();
    // In this order: an act that another process signs or marks as mined meanwhile is in at least one of the
    // answers.
    const pending = await intents.listPending(wallet.address);
    const count = await this.minedCount();
    const mined = await intents.listMinedFrom(wallet.address, count);
    const held = [...pending, ...mined].filter((intent) => holdsNonce(intent, atMs));
    return Math.max(count, ...held.map(({ nonce = -1 }) => nonce + 1));
  }
}

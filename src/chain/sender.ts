import { isError, Transaction, type TransactionReceipt } from 'ethers';
import type { Address } from '../domain/ids';
import type { Clock } from '../lib/clock';
import { AppError, describeError, never } from '../lib/errors';
import type { Logger } from '../lib/logger';
import type { Chain } from './client';
import { coreInterface } from './events';
import type { Wallet } from './wallet';

/** One signed version of a transaction. */
export interface Attempt {
  hash: string;
  raw: string;
  maxFeePerGas: string;
  maxPriorityFeePerGas: string;
  atMs: number;
}

/** Something an account means to do on chain, once. */
export interface Intent {
  id: string;
  key: string;
  state: 'created' | 'signed' | 'mined' | 'failed';
  to: Address;
  data: string;
  valueWei: bigint;
  nonce?: number | undefined;
  attempts: Attempt[];
  minedHash?: string | undefined;
}

/** What the sender remembers across crashes. */
export interface IntentStore {
  begin(intent: { account: Address; key: string; to: Address; data: string; valueWei: bigint }): Promise<Intent>;
  saveAttempt(id: string, nonce: number, attempt: Attempt): Promise<void>;
  markMined(id: string, hash: string): Promise<void>;
  markFailed(id: string, reason: string): Promise<void>;
  listPending(account: Address): Promise<Intent[]>;
}

export interface SendRequest {
  /** Names the act for this account, e.g. `0x…:submit`. Sending it again gives the first outcome. */
  key: string;
  to: Address;
  data: string;
  valueWei?: bigint | undefined;
}

export interface Sender {
  readonly address: Address;
  /** Sends, once, and waits until it is mined. Throws `chain/reverted` with the contract's own reason. */
  send(request: SendRequest): Promise<{ hash: string }>;
  /** What sending would cost, in wei, without sending it. */
  estimateWei(request: Omit<SendRequest, 'key'>): Promise<bigint>;
  /** Takes up transactions that were signed before this process began. */
  resume(): Promise<void>;
}

export type SenderError =
  | { code: 'chain/reverted'; reason: string; args: string[]; key: string }
  | { code: 'chain/no-funds'; account: Address; key: string };

export interface SenderOptions {
  /** After so long without being mined a transaction is sent again with a higher fee. */
  stuckMs?: number | undefined;
  pollMs?: number | undefined;
  /** No replacement pays more per gas than this, in wei. */
  maxFeePerGas?: bigint | undefined;
}

const GWEI = 1_000_000_000n;

/**
 * Sends transactions so that none is lost and none doubled, whenever the process dies: the intent is stored before it is signed,
 * the signed bytes before they are sent, and a restart sends the same bytes. This object must be the account's only user: it owns
 * the nonce. A stuck transaction is replaced under the same nonce, and every version's hash is watched.
 */
export function openSender(options: SenderOptions, deps: SenderDeps): Sender {
  return new TransactionSender(options, deps);
}

interface SenderDeps {
  chain: Chain;
  wallet: Wallet;
  intents: IntentStore;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

interface Fees {
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

class TransactionSender implements Sender {
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly options: SenderOptions,
    private readonly deps: SenderDeps,
  ) {}

  get address(): Address {
    return this.deps.wallet.address;
  }

  async send(request: SendRequest): Promise<{ hash: string }> {
    const { intents } = this.deps;
    const { key, to, data, valueWei = 0n } = request;
    const content = { account: this.address, key, to, data, valueWei };
    const intent = await this.exclusively(async () => {
      const begun = await intents.begin(content);
      if (begun.state === 'created') await this.signFirst(begun);
      return intents.begin(content);
    });
    switch (intent.state) {
      case 'mined':
        return { hash: intent.minedHash ?? '' };
      case 'signed':
        return { hash: await this.follow(intent) };
      case 'created':
      case 'failed':
        throw new Error(`Intent ${intent.id} is ${intent.state} after signing`);
      default:
        return never(intent.state);
    }
  }

  async estimateWei({ to, data, valueWei }: Omit<SendRequest, 'key'>): Promise<bigint> {
    const { provider } = this.deps.chain;
    try {
      const gas = await provider.estimateGas({ from: this.address, to, data, value: valueWei ?? 0n });
      const { maxFeePerGas: price, gasPrice } = await provider.getFeeData();
      return gas * (price ?? gasPrice ?? 0n);
    } catch (error) {
      throw explainRevert(error, 'estimate', this.address);
    }
  }

  async resume(): Promise<void> {
    const { intents, logger, signal } = this.deps;
    for (const intent of await intents.listPending(this.address)) {
      const last = intent.attempts.at(-1);
      if (last && !(await this.findReceipt(intent.attempts))) await this.broadcast(last.raw, intent.key);
      void this.follow(intent).catch((error) => {
        if (!signal.aborted) logger.warn('Earlier transaction failed', { key: intent.key }, error);
      });
    }
  }

  /** One at a time: whoever signs needs the nonce to itself. */
  private exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.queue.then(work, work);
    this.queue = result.catch(() => undefined);
    return result;
  }

  /** Simulates, chooses nonce and fees, signs, stores, sends. A revert ends the intent before anything is spent. */
  private async signFirst(intent: Intent): Promise<void> {
    const { provider } = this.deps.chain;
    let gas: bigint;
    try {
      gas = await provider.estimateGas(this.callOf(intent));
    } catch (error) {
      const reason = explainRevert(error, intent.key, this.address);
      await this.deps.intents.markFailed(intent.id, describeError(reason));
      throw reason;
    }
    const nonce = await this.nextNonce();
    const fees = await provider.getFeeData();
    const maxPriorityFeePerGas = fees.maxPriorityFeePerGas ?? GWEI;
    await this.signAndSend(intent, nonce, (gas * 6n) / 5n, {
      maxPriorityFeePerGas,
      maxFeePerGas: fees.maxFeePerGas ?? 2n * GWEI + maxPriorityFeePerGas,
    });
  }

  /** The chain's count of mined transactions, or one past our own highest that is still under way. */
  private async nextNonce(): Promise<number> {
    const mined = await this.minedCount();
    const pending = await this.deps.intents.listPending(this.address);
    return Math.max(mined, ...pending.map((intent) => (intent.nonce ?? -1) + 1));
  }

  private minedCount(): Promise<number> {
    return this.deps.chain.provider.getTransactionCount(this.address, 'latest');
  }

  private async signAndSend(intent: Intent, nonce: number, gasLimit: bigint, fees: Fees): Promise<void> {
    const { chain, wallet, intents, clock } = this.deps;
    const { to, data, valueWei: value } = intent;
    const transaction = { type: 2, chainId: chain.chainId, to, data, value, nonce, gasLimit, ...fees };
    const raw = await wallet.signer.signTransaction(transaction);
    await intents.saveAttempt(intent.id, nonce, {
      hash: Transaction.from(raw).hash ?? '',
      raw,
      maxFeePerGas: fees.maxFeePerGas.toString(),
      maxPriorityFeePerGas: fees.maxPriorityFeePerGas.toString(),
      atMs: clock.now(),
    });
    await this.broadcast(raw, intent.key);
  }

  /** "Already known" and "nonce too low" mean that it, or another version, got there: the receipt will tell. */
  private async broadcast(raw: string, key: string): Promise<void> {
    try {
      await this.deps.chain.provider.send('eth_sendRawTransaction', [raw]);
    } catch (error) {
      this.deps.logger.debug('Broadcast was answered with an error', { key }, error);
    }
  }

  /** Watches every version until one is mined; sends again, dearer, when none is for too long. */
  private async follow(intent: Intent): Promise<string> {
    const { stuckMs = 60_000, pollMs = 300 } = this.options;
    const { clock, signal } = this.deps;
    for (;;) {
      const receipt = await this.findReceipt(intent.attempts);
      if (receipt) return this.finish(intent, receipt);
      const last = intent.attempts.at(-1);
      if (last && (await this.isOvertaken(intent))) await this.exclusively(() => this.signAgain(intent, last));
      else if (last && clock.now() - last.atMs > stuckMs) await this.exclusively(() => this.replace(intent, last));
      await clock.sleep(pollMs, signal);
    }
  }

  private async findReceipt(attempts: readonly Attempt[]): Promise<TransactionReceipt | undefined> {
    for (const { hash } of attempts) {
      const receipt = await this.deps.chain.provider.getTransactionReceipt(hash).catch(() => null);
      if (receipt) return receipt;
    }
    return undefined;
  }

  private async finish(intent: Intent, receipt: TransactionReceipt): Promise<string> {
    const { intents, chain } = this.deps;
    if (receipt.status === 1) {
      await intents.markMined(intent.id, receipt.hash);
      return receipt.hash;
    }
    await intents.markFailed(intent.id, `reverted in ${receipt.hash}`);
    // The state it met is over; asking again tells the reason in most cases.
    const cause = await chain.provider.call({ ...this.callOf(intent), blockTag: receipt.blockNumber }).then(
      () => new Error(`Transaction ${receipt.hash} reverted`),
      (error: unknown) => error,
    );
    throw explainRevert(cause, intent.key, this.address);
  }

  /** Another process used our nonce (the operator ran a command with the same key): none of our versions can be mined. */
  private async isOvertaken(intent: Intent): Promise<boolean> {
    const mined = await this.minedCount();
    return mined > (intent.nonce ?? 0) && (await this.findReceipt(intent.attempts)) === undefined;
  }

  private async signAgain(intent: Intent, last: Attempt): Promise<void> {
    const { gasLimit, maxFeePerGas, maxPriorityFeePerGas } = Transaction.from(last.raw);
    const fees = { maxFeePerGas: maxFeePerGas ?? GWEI, maxPriorityFeePerGas: maxPriorityFeePerGas ?? GWEI };
    const { key, nonce } = intent;
    this.deps.logger.warn('Nonce was used by another process; signing again', { key, nonce });
    await this.signAndSend(intent, await this.nextNonce(), gasLimit, fees);
    await this.reload(intent);
  }

  /** The same nonce at ×1.125 the fee, the least a node accepts; the stored list then holds one hash more. */
  private async replace(intent: Intent, last: Attempt): Promise<void> {
    const fees = {
      maxFeePerGas: this.raise(last.maxFeePerGas),
      maxPriorityFeePerGas: this.raise(last.maxPriorityFeePerGas),
    };
    if (fees.maxFeePerGas.toString() === last.maxFeePerGas) await this.broadcast(last.raw, intent.key);
    else {
      this.deps.logger.warn('Transaction is stuck; raising its fee', { key: intent.key, hash: last.hash });
      const { gasLimit } = Transaction.from(last.raw);
      await this.signAndSend(intent, intent.nonce ?? 0, gasLimit, fees);
    }
    await this.reload(intent);
  }

  private raise(fee: string): bigint {
    const { maxFeePerGas = 500n * GWEI } = this.options;
    const raised = (BigInt(fee) * 1125n) / 1000n + 1n;
    return raised < maxFeePerGas ? raised : maxFeePerGas;
  }

  private async reload(intent: Intent): Promise<void> {
    const pending = await this.deps.intents.listPending(this.address);
    const current = pending.find(({ id }) => id === intent.id);
    if (current) Object.assign(intent, current);
  }

  private callOf({ to, data, valueWei: value }: Intent) {
    return { from: this.address, to, data, value };
  }
}

/** The contract's own error by name and arguments, where there is one. */
function explainRevert(error: unknown, key: string, account: Address): AppError {
  if (isError(error, 'INSUFFICIENT_FUNDS')) {
    return new AppError<SenderError>(
      { code: 'chain/no-funds', account, key },
      `${account} has too little ETH to pay for the transaction (${key}); send it some.`,
      { cause: error },
    );
  }
  if (!isError(error, 'CALL_EXCEPTION')) {
    return new AppError({ code: 'chain/failed', key }, `The transaction ${key} could not be sent.`, { cause: error });
  }
  const parsed = error.data ? coreInterface.parseError(error.data) : null;
  const reason = parsed?.name ?? error.reason ?? 'no reason given';
  const args = parsed ? parsed.args.map(String) : [];
  return new AppError<SenderError>(
    { code: 'chain/reverted', reason, args, key },
    `The contract refuses ${key}: ${reason}${args.length > 0 ? `(${args.join(', ')})` : ''}.`,
    { cause: error },
  );
}

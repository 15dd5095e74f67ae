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
export function openSender(
  options: SenderOptions,
  deps: { chain: Chain; wallet: Wallet; intents: IntentStore; clock: Clock; logger: Logger; signal: AbortSignal },
): Sender {
  const { chain, wallet, intents, clock, logger, signal } = deps;
  const { stuckMs = 60_000, pollMs = 300, maxFeePerGas = 500n * GWEI } = options;
  const from = wallet.address;
  let queue: Promise<unknown> = Promise.resolve();

  /** One at a time: whoever signs needs the nonce to itself. */
  function exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(work, work);
    queue = result.catch(() => undefined);
    return result;
  }

  async function send(request: SendRequest): Promise<{ hash: string }> {
    const content = { account: from, key: request.key, to: request.to, data: request.data };
    const intent = await exclusively(async () => {
      const begun = await intents.begin({ ...content, valueWei: request.valueWei ?? 0n });
      if (begun.state === 'created') await signFirst(begun);
      return intents.begin({ ...content, valueWei: request.valueWei ?? 0n });
    });
    switch (intent.state) {
      case 'mined':
        return { hash: intent.minedHash ?? '' };
      case 'signed':
        return { hash: await follow(intent) };
      case 'created':
      case 'failed':
        throw new Error(`Intent ${intent.id} is ${intent.state} after signing`);
      default:
        return never(intent.state);
    }
  }

  /** Simulates, chooses nonce and fees, signs, stores, sends. A revert ends the intent before anything is spent. */
  async function signFirst(intent: Intent): Promise<void> {
    const call = { from, to: intent.to, data: intent.data, value: intent.valueWei };
    let gas: bigint;
    try {
      gas = await chain.provider.estimateGas(call);
    } catch (error) {
      const reason = explainRevert(error, intent.key, from);
      await intents.markFailed(intent.id, describeError(reason));
      throw reason;
    }
    const nonce = await nextNonce();
    const fees = await chain.provider.getFeeData();
    const maxPriorityFeePerGas = fees.maxPriorityFeePerGas ?? GWEI;
    await signAndSend(intent, nonce, (gas * 6n) / 5n, {
      maxPriorityFeePerGas,
      maxFeePerGas: fees.maxFeePerGas ?? 2n * GWEI + maxPriorityFeePerGas,
    });
  }

  /** The chain's count of mined transactions, or one past our own highest that is still under way. */
  async function nextNonce(): Promise<number> {
    const mined = await chain.provider.getTransactionCount(from, 'latest');
    const pending = await intents.listPending(from);
    return Math.max(mined, ...pending.map((intent) => (intent.nonce ?? -1) + 1));
  }

  async function signAndSend(
    intent: Intent,
    nonce: number,
    gasLimit: bigint,
    fees: { maxFeePerGas: bigint; maxPriorityFeePerGas: bigint },
  ): Promise<void> {
    const { to, data, valueWei: value } = intent;
    const raw = await wallet.signer.signTransaction({
      type: 2,
      chainId: chain.chainId,
      to,
      data,
      value,
      nonce,
      gasLimit,
      ...fees,
    });
    const hash = Transaction.from(raw).hash ?? '';
    await intents.saveAttempt(intent.id, nonce, {
      hash,
      raw,
      maxFeePerGas: fees.maxFeePerGas.toString(),
      maxPriorityFeePerGas: fees.maxPriorityFeePerGas.toString(),
      atMs: clock.now(),
    });
    await broadcast(raw, intent.key);
  }

  /** "Already known" and "nonce too low" mean that it, or another version, got there: the receipt will tell. */
  async function broadcast(raw: string, key: string): Promise<void> {
    try {
      await chain.provider.send('eth_sendRawTransaction', [raw]);
    } catch (error) {
      logger.debug('Broadcast was answered with an error', { key }, error);
    }
  }

  /** Watches every version until one is mined; sends again, dearer, when none is for too long. */
  async function follow(intent: Intent): Promise<string> {
    for (;;) {
      const receipt = await findReceipt(intent.attempts);
      if (receipt) return finish(intent, receipt);
      const last = intent.attempts.at(-1);
      if (last && (await isOvertaken(intent))) await exclusively(() => signAgain(intent, last));
      else if (last && clock.now() - last.atMs > stuckMs) await exclusively(() => replace(intent, last));
      await clock.sleep(pollMs, signal);
    }
  }

  async function findReceipt(attempts: readonly Attempt[]): Promise<TransactionReceipt | undefined> {
    for (const { hash } of attempts) {
      const receipt = await chain.provider.getTransactionReceipt(hash).catch(() => null);
      if (receipt) return receipt;
    }
    return undefined;
  }

  async function finish(intent: Intent, receipt: TransactionReceipt): Promise<string> {
    if (receipt.status === 1) {
      await intents.markMined(intent.id, receipt.hash);
      return receipt.hash;
    }
    await intents.markFailed(intent.id, `reverted in ${receipt.hash}`);
    // The state it met is over; asking again tells the reason in most cases.
    const call = { from, to: intent.to, data: intent.data, value: intent.valueWei, blockTag: receipt.blockNumber };
    const cause = await chain.provider.call(call).then(
      () => new Error(`Transaction ${receipt.hash} reverted`),
      (error: unknown) => error,
    );
    throw explainRevert(cause, intent.key, from);
  }

  /** Another process used our nonce (the operator ran a command with the same key): none of our versions can be mined. */
  async function isOvertaken(intent: Intent): Promise<boolean> {
    const mined = await chain.provider.getTransactionCount(from, 'latest');
    return mined > (intent.nonce ?? 0) && (await findReceipt(intent.attempts)) === undefined;
  }

  async function signAgain(intent: Intent, last: Attempt): Promise<void> {
    const { gasLimit, maxFeePerGas, maxPriorityFeePerGas } = Transaction.from(last.raw);
    const fees = { maxFeePerGas: maxFeePerGas ?? GWEI, maxPriorityFeePerGas: maxPriorityFeePerGas ?? GWEI };
    logger.warn('Nonce was used by another process; signing again', { key: intent.key, nonce: intent.nonce });
    await signAndSend(intent, await nextNonce(), gasLimit, fees);
    await reload(intent);
  }

  /** The same nonce at ×1.125 the fee, the least a node accepts; the stored list then holds one hash more. */
  async function replace(intent: Intent, last: Attempt): Promise<void> {
    const raise = (fee: string) => {
      const raised = (BigInt(fee) * 1125n) / 1000n + 1n;
      return raised < maxFeePerGas ? raised : maxFeePerGas;
    };
    const fees = { maxFeePerGas: raise(last.maxFeePerGas), maxPriorityFeePerGas: raise(last.maxPriorityFeePerGas) };
    if (fees.maxFeePerGas.toString() === last.maxFeePerGas) await broadcast(last.raw, intent.key);
    else {
      logger.warn('Transaction is stuck; raising its fee', { key: intent.key, hash: last.hash });
      const { gasLimit } = Transaction.from(last.raw);
      await signAndSend(intent, intent.nonce ?? 0, gasLimit, fees);
    }
    await reload(intent);
  }

  async function reload(intent: Intent): Promise<void> {
    const current = (await intents.listPending(from)).find(({ id }) => id === intent.id);
    if (current) Object.assign(intent, current);
  }

  return {
    address: from,
    send,
    async estimateWei({ to, data, valueWei }) {
      try {
        const gas = await chain.provider.estimateGas({ from, to, data, value: valueWei ?? 0n });
        const { maxFeePerGas: price, gasPrice } = await chain.provider.getFeeData();
        return gas * (price ?? gasPrice ?? 0n);
      } catch (error) {
        throw explainRevert(error, 'estimate', from);
      }
    },
    async resume() {
      for (const intent of await intents.listPending(from)) {
        const last = intent.attempts.at(-1);
        if (last && !(await findReceipt(intent.attempts))) await broadcast(last.raw, intent.key);
        void follow(intent).catch((error) => {
          if (!signal.aborted) logger.warn('Earlier transaction failed', { key: intent.key }, error);
        });
      }
    },
  };
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

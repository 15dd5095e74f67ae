/** Gas limits and fees of the transactions of one account, and what is said when they are too high. */
import { isError, Transaction } from 'ethers';
import { demandedFee, firstFee, formatGwei, type GasFee, highest, raisedFee } from '../../domain/gas';
import type { Address } from '../../domain/ids';
import type { Attempt } from '../../domain/intent';
import { AppError } from '../../lib/errors';
import type { Logger } from '../../lib/logger';
import type { Chain } from '../rpc/client';
import type { Act } from './intent-store';
import { explainFailure, noFunds } from './revert';

/** Gas limit of a transaction, and its fees in wei per gas. */
export interface Price extends GasFee {
  gasLimit: bigint;
}

/** Why a signed transaction may need a higher fee. */
export interface FeeTrouble {
  /** It has waited for long. */
  isStuck: boolean;
  /** The node's words, where it refuses the transaction. */
  refusal?: string | undefined;
}

interface FeeDeps {
  chain: Pick<Chain, 'provider'>;
  address: Address;
  logger: Logger;
}

const GWEI = 1_000_000_000n;
/**
 * What an act may need beyond its estimate because transactions before it have changed the chain: paying by
 * tokens, where credit was enough, costs about 40,000 more. Gas that is not used is not paid for.
 */
const HEADROOM_GAS = 60_000n;

/** Prices transactions; no fee exceeds `capWei` per gas. */
export class Fees {
  /** The operator knows that the fee is too high, or the account too poor. */
  private isTold = false;

  constructor(
    private readonly deps: FeeDeps,
    private readonly capWei = 500n * GWEI,
  ) {}

  /**
   * Simulates and prices an act, named `key` in errors. Returns undefined while the chain asks for more than
   * the bound, and says so once. Throws the contract's reason when the act would be refused, and
   * `chain/no-funds` when the account cannot pay for gas.
   */
  async priceOf(act: Act, key: string): Promise<Price | undefined> {
    const { chain, address } = this.deps;
    try {
      const gas = await chain.provider.estimateGas({ from: address, ...act });
      const baseWei = await this.nextBaseWei();
      const fee = firstFee({ baseWei, tipWei: await this.tipWei() }, this.capWei);
      if (!fee) return this.tellTooHigh(key, baseWei);
      const price = { gasLimit: (gas * 6n) / 5n + HEADROOM_GAS, ...fee };
      if (!(await this.canPay(act, price))) throw noFunds(address, key);
      this.isTold = false;
      return price;
    } catch (error) {
      throw error instanceof AppError ? error : explainFailure(error, key, address);
    }
  }

  /** Returns what the act would cost now, in wei. Throws the contract's reason when it would be refused. */
  async costWei(act: Act): Promise<bigint> {
    const { provider } = this.deps.chain;
    try {
      const gas = await provider.estimateGas({ from: this.deps.address, ...act });
      const { maxFeePerGas: price, gasPrice } = await provider.getFeeData();
      return gas * (price ?? gasPrice ?? 0n);
    } catch (error) {
      throw explainFailure(error, 'this', this.deps.address);
    }
  }

  /**
   * Returns a higher price for the next version of a signed act; undefined when it needs none, or when none
   * is possible within the bound and the account's means, which is said once.
   */
  async raised({ raw, ...attempt }: Attempt, key: string, trouble: FeeTrouble): Promise<Price | undefined> {
    const last = {
      maxFeePerGas: BigInt(attempt.maxFeePerGas),
      maxPriorityFeePerGas: BigInt(attempt.maxPriorityFeePerGas),
    };
    const demanded = demandedFee(trouble.refusal ?? '');
    const baseWei = await this.nextBaseWei();
    if (!trouble.isStuck && isEnough(last, baseWei, demanded)) {
      this.isTold = false;
      return undefined;
    }
    const fee = raisedFee(last, { baseWei, tipWei: await this.tipWei() }, demanded, this.capWei);
    if (!fee) return this.tellTooHigh(key, highest(baseWei, demanded.maxFeePerGas, last.maxFeePerGas + 1n));
    const { gasLimit, to, data, value } = Transaction.from(raw);
    const price = { gasLimit, ...fee };
    if (!(await this.canPay({ to: to ?? '', data, value }, price))) return this.tellTooPoor(key);
    this.isTold = false;
    return price;
  }

  /** Base fee of the next chain block. */
  private async nextBaseWei(): Promise<bigint> {
    const { provider } = this.deps.chain;
    const history = (await provider.send('eth_feeHistory', ['0x1', 'latest', []]).catch(unlessUnknown(undefined))) as
      | { baseFeePerGas?: string[] }
      | undefined;
    const next = history?.baseFeePerGas?.at(-1);
    return next === undefined ? ((await provider.getBlock('latest'))?.baseFeePerGas ?? 0n) : BigInt(next);
  }

  private tipWei(): Promise<bigint> {
    return this.deps.chain.provider.send('eth_maxPriorityFeePerGas', []).then(BigInt, unlessUnknown(GWEI));
  }

  private async canPay(act: Act, { gasLimit, maxFeePerGas }: Price): Promise<boolean> {
    const haveWei = await this.deps.chain.provider.getBalance(this.deps.address);
    return haveWei >= act.value + gasLimit * maxFeePerGas;
  }

  private tellTooHigh(key: string, needWei: bigint): undefined {
    return this.tell('Transaction waits, for it needs a higher fee per gas than maxFeePerGas', {
      key,
      needs: formatGwei(needWei),
      maxFeePerGas: formatGwei(this.capWei),
      remedy: 'Wait until the fees fall, or raise maxFeePerGas (of a command: --max-fee-per-gas) and start again.',
    });
  }

  private tellTooPoor(key: string): undefined {
    const { address: account } = this.deps;
    const remedy = 'Send it some; the transaction then goes on by itself.';
    return this.tell('Transaction waits, for the account has too little ETH to raise its fee', {
      key,
      account,
      remedy,
    });
  }

  private tell(message: string, fields: Record<string, string>): undefined {
    if (!this.isTold) this.deps.logger.warn(message, fields);
    this.isTold = true;
  }
}

/** True when a version with this fee can be in the next chain block, and the node does not refuse it. */
function isEnough({ maxFeePerGas, maxPriorityFeePerGas }: GasFee, baseWei: bigint, demanded: Partial<GasFee>): boolean {
  return (
    maxFeePerGas >= highest(baseWei, demanded.maxFeePerGas) &&
    maxPriorityFeePerGas >= (demanded.maxPriorityFeePerGas ?? 0n)
  );
}

/** Returns a handler that takes `value` where the node does not know a method, and throws other errors. */
function unlessUnknown<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (isError(error, 'UNKNOWN_ERROR') || isError(error, 'UNSUPPORTED_OPERATION')) return value;
    throw error;
  };
}

/** Gas limits and fees of the transactions of one account. */
import { Transaction } from 'ethers';
import type { Address } from '../../domain/ids';
import type { Attempt } from '../../domain/intent';
import { AppError } from '../../lib/errors';
import type { Chain } from '../rpc/client';
import type { Act } from './intent-store';
import { explainFailure, noFunds } from './revert';

/** Gas limit of a transaction, and its fees in wei per gas. */
export interface Price {
  gasLimit: bigint;
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

const GWEI = 1_000_000_000n;

/** Prices transactions; no fee exceeds `maxFeePerGas`, in wei per gas. */
export class Fees {
  constructor(
    private readonly chain: Chain,
    private readonly account: Address,
    private readonly maxFeePerGas = 500n * GWEI,
  ) {}

  /**
   * Simulates and prices an act, named `key` in errors. Throws the contract's reason when it would be
   * refused, and `chain/no-funds` when the account cannot pay for gas.
   */
  async priceOf(act: Act, key: string): Promise<Price> {
    const { provider } = this.chain;
    try {
      const gas = await provider.estimateGas({ from: this.account, ...act });
      const price = { gasLimit: (gas * 6n) / 5n, ...(await this.current()) };
      const needWei = act.value + price.gasLimit * price.maxFeePerGas;
      if ((await provider.getBalance(this.account)) < needWei) throw noFunds(this.account, key);
      return price;
    } catch (error) {
      throw error instanceof AppError ? error : explainFailure(error, key, this.account);
    }
  }

  /** Returns what the act would cost now, in wei. Throws the contract's reason when it would be refused. */
  async costWei(act: Act): Promise<bigint> {
    const { provider } = this.chain;
    try {
      const gas = await provider.estimateGas({ from: this.account, ...act });
      const { maxFeePerGas: price, gasPrice } = await provider.getFeeData();
      return gas * (price ?? gasPrice ?? 0n);
    } catch (error) {
      throw explainFailure(error, 'this', this.account);
    }
  }

  /**
   * Returns fees raised by 12.5 %, more than any node demands of a replacement; undefined when the bound is
   * reached.
   */
  raised({ raw, maxFeePerGas, maxPriorityFeePerGas }: Attempt): Price | undefined {
    const raise = (fee: string) => this.capped((BigInt(fee) * 1125n) / 1000n + 1n);
    const raised = raise(maxFeePerGas);
    if (raised <= BigInt(maxFeePerGas)) return undefined;
    const { gasLimit } = Transaction.from(raw);
    return { gasLimit, maxFeePerGas: raised, maxPriorityFeePerGas: raise(maxPriorityFeePerGas) };
  }

  private async current(): Promise<Omit<Price, 'gasLimit'>> {
    const fees = await this.chain.provider.getFeeData();
    const priority = fees.maxPriorityFeePerGas ?? GWEI;
    return {
      maxFeePerGas: this.capped(fees.maxFeePerGas ?? 2n * GWEI + priority),
      maxPriorityFeePerGas: this.capped(priority),
    };
  }

  private capped(fee: bigint): bigint {
    return fee < this.maxFeePerGas ? fee : this.maxFeePerGas;
  }
}

/** The worker's file of signed receipts, its evidence of what the master owes. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Address } from '../domain/ids';
import { crashPoint } from '../lib/crash-point';
import type { Logger } from '../lib/logger';
import type { RecoverTyped } from '../link/ports';
import { type MasterMessage, type Receipt, receiptTypes } from '../protocol/link';
import { LINK_DOMAIN } from '../protocol/storage';

type ReceiptMessage = Extract<MasterMessage, { type: 'receipt' }>;

/** Receipts the master signed after each round, one JSON line each, enough to prove the pay it promised. */
export class ReceiptBook {
  constructor(
    private readonly path: string,
    private readonly deps: {
      worker: Address;
      chainId: number;
      recoverTyped: RecoverTyped;
      logger: Logger;
    },
  ) {}

  /** Stores a receipt that this master signed for this worker; logs and drops any other. */
  keep({ receipt, signature }: ReceiptMessage, master: Address): void {
    const { worker, chainId, recoverTyped, logger } = this.deps;
    const signer = recoverTyped(chainId, LINK_DOMAIN, receiptTypes, receipt, signature);
    if (signer !== master || receipt.worker !== worker) {
      logger.warn('Dropped a receipt that the master did not sign for this worker', {
        master,
        signer,
        worker: receipt.worker,
      });
      return;
    }
    mkdirSync(dirname(this.path), { recursive: true });
    appendFileSync(this.path, `${toLine(receipt, master, signature, chainId)}\n`);
    crashPoint('receipt.kept');
    const { jobId, round, tokens, totalTokens, expectedWei } = receipt;
    logger.info('Receipt', { jobId, round, tokens, totalTokens, expectedWei });
  }
}

function toLine(receipt: Receipt, master: Address, signature: string, chainId: number): string {
  return JSON.stringify({ ...receipt, expectedWei: receipt.expectedWei.toString(), master, chainId, signature });
}

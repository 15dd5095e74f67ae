/** Makes a fold final: ordinals and draws of its leases, and the receipts of everybody who is due one. */
import { type AuditableLease, countTokens, isComparable, isDrawn, leaseKey, type WorkerTokens } from '../domain/audit';
import type { Address } from '../domain/ids';
import { byAddress, inFoldOrder } from '../domain/order';
import { crashPoint } from '../lib/crash-point';
import { type Receipt, receiptTypes } from '../protocol/link';
import { LINK_DOMAIN } from '../protocol/storage';
import type { JobContext } from './job-context';

/** What the check of a fold came to. `validationLoss` is undefined when it could not be measured. */
interface CheckedFold {
  round: number;
  validationLoss: number | undefined;
  resetsOuter: boolean;
  /** Leases that were found doubtful, and must be done again. */
  doubtful: readonly string[];
}

type Drawn = AuditableLease & { leaseId: string; isDrawn: boolean };

/** Records all of it in one transaction, then sends the receipts. */
export async function confirmFold(job: JobContext, { doubtful, ...fold }: CheckedFold): Promise<void> {
  const { store, fleet, logger } = job.deps;
  const leases = await drawLeases(job, fold.round, doubtful);
  const receipts = await signReceipts(job, fold.round, leases);
  crashPoint('fold.checked');
  await store.rounds.confirm({ jobId: job.jobId, ...fold, leases, receipts });
  crashPoint('fold.final');
  job.audits.unreported.clear();
  for (const { receipt, signature } of receipts) {
    const message = { ...receipt, expectedWei: receipt.expectedWei.toString() };
    fleet.send(receipt.worker, { type: 'receipt', receipt: message, signature });
  }
  crashPoint('receipts.sent');
  const drawn = leases.filter((lease) => lease.isDrawn).length;
  logger.info('Fold confirmed', { round: fold.round, loss: fold.validationLoss, drawn });
}

/** Numbers the leases of a round within their workers' lives, and draws those that are to be done again. */
async function drawLeases(job: JobContext, round: number, doubtful: readonly string[]): Promise<Drawn[]> {
  const { store } = job.deps;
  const { auditSeed: seed, params } = job.plan;
  const rows = (await store.ledger.listLeases(job.jobId, round)).filter(({ state }) => state === 'merged');
  const last = new Map<Address, number>();
  const drawn: Drawn[] = [];
  for (const { leaseId, worker, start, work, isDrawn: isFlagged } of rows.sort(inFoldOrder)) {
    const ordinal = (last.get(worker) ?? (await store.audits.lastOrdinal(worker))) + 1;
    last.set(worker, ordinal);
    const must = isFlagged || doubtful.includes(leaseId);
    const isChosen = must || isDrawn(seed, { jobId: job.jobId, round, start, ordinal }, params.audit.rate);
    const isToDo = isChosen && isComparable(params);
    drawn.push({ leaseId, worker, round, start, tokens: work?.tokens ?? 0, ordinal, isDrawn: isToDo });
  }
  return drawn;
}

/** For the workers of the round, and for those that did an audit since the last receipts. */
async function signReceipts(job: JobContext, round: number, drawn: readonly Drawn[]) {
  const { store, wallet } = job.deps;
  const numbered = new Map(drawn.map((lease) => [leaseKey(lease), lease]));
  const merged = await store.audits.merged(job.jobId);
  const leases = merged.map((lease) => numbered.get(leaseKey(lease)) ?? lease);
  const counts = countTokens(leases, await store.audits.list(job.jobId), wallet.address);
  const due = new Set([...drawn.map(({ worker }) => worker), ...job.audits.unreported]);
  const audited = [...counts.values()].reduce((sum, count) => sum + count.audited, 0);
  return Promise.all(
    [...due].sort(byAddress).map(async (worker) => {
      const count = counts.get(worker) ?? { merged: 0, audited: 0, held: 0, paid: 0 };
      const tokens = drawn.reduce((sum, lease) => sum + (lease.worker === worker ? lease.tokens : 0), 0);
      const receipt = receiptOf(job, { round, worker, tokens, count, audited });
      return { receipt, signature: await wallet.signTyped(LINK_DOMAIN, receiptTypes, receipt) };
    }),
  );
}

/** The pool is shared by the tokens of audits too, so every audit makes the pay of a token a little less. */
function receiptOf(
  job: JobContext,
  about: { round: number; worker: Address; tokens: number; count: WorkerTokens; audited: number },
): Receipt {
  const { round, worker, tokens, count, audited } = about;
  const planned = job.plan.totalBlocks * job.plan.prepared.blockTokens;
  return {
    jobId: job.jobId,
    round,
    worker,
    tokens,
    totalTokens: count.merged,
    auditTokens: count.audited,
    heldTokens: count.held,
    expectedWei: (job.workerPoolWei * BigInt(count.paid)) / BigInt(planned + audited),
  };
}

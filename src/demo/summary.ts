/** What the demo found out, and whether that is what it should be. */
import type { JobDetails } from '../protocol/admin';

/** One account's EMT before the request and after everybody has withdrawn, in wei. */
export interface Balance {
  role: string;
  address: string;
  before: string;
  after: string;
}

/** What `emeth demo --json FILE` writes. */
export interface DemoSummary {
  jobId: string;
  status: string;
  rounds: number;
  seconds: number;
  /** Nats per token on the whole held-out part. */
  validationLoss: { start: number; end: number };
  ledger: { blocks: number; epochs: number; minMerged: number; maxMerged: number };
  /** What the reward pool minted for the node, by day; in wei. */
  rewards: { slot: number; amountWei: string }[];
  /** Every party and contract. The balances after add up to those before and what was minted. */
  balances: Balance[];
  modelDir: string;
  sample: string;
}

/** Returns what fell short, as sentences; empty when the demo ended well. */
export function findShortfalls(summary: DemoSummary): string[] {
  const { ledger, validationLoss, balances } = summary;
  const total = (side: 'before' | 'after') => balances.reduce((sum, balance) => sum + BigInt(balance[side]), 0n);
  const gained = (role: string) => {
    const own = balances.filter((balance) => balance.role.startsWith(role));
    return own.some((balance) => BigInt(balance.after) > BigInt(balance.before));
  };
  const mintedWei = summary.rewards.reduce((sum, { amountWei }) => sum + BigInt(amountWei), 0n);
  const checks: [boolean, string][] = [
    [summary.status === 'VERIFIED', `the job is ${summary.status}, not VERIFIED`],
    [
      ledger.minMerged === 1 && ledger.maxMerged === 1,
      `blocks were merged ${ledger.minMerged} to ${ledger.maxMerged} times`,
    ],
    [
      validationLoss.end < validationLoss.start,
      `the validation loss did not fall (${validationLoss.start} → ${validationLoss.end})`,
    ],
    [
      total('before') + mintedWei === total('after'),
      `balances do not add up: ${total('before')} before, ${mintedWei} minted, ${total('after')} after`,
    ],
    [mintedWei > 0n, 'the node got no reward for its slot'],
    [['node', 'worker', 'verifier'].every(gained), 'a node, worker or verifier was not paid'],
    [summary.sample.trim() !== '', 'the trained model wrote nothing'],
  ];
  return checks.filter(([holds]) => !holds).map(([, problem]) => problem);
}

/** Returns the ledger's part of the summary. */
export function ledgerOf(job: JobDetails): DemoSummary['ledger'] {
  if (!job.ledger) throw new Error(`Job ${job.jobId} has no ledger`);
  const { blocks, epochs, minMerged, maxMerged } = job.ledger;
  return { blocks, epochs, minMerged, maxMerged };
}

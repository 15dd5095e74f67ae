/** What the demo found out, and whether that is what it should be. */
import { type AuditFinding, findingOf, leaseKey } from '../domain/audit';
import type { JobDetails } from '../protocol/admin';
import type { Manifest } from '../protocol/manifest';

/** One account's EMT before the request and after everybody has withdrawn, in wei. */
export interface Balance {
  role: string;
  address: string;
  before: string;
  after: string;
}

/** What became of a worker that cheated. */
export interface CheatOutcome {
  kind: string;
  address: string;
  /** What the master warned of, oldest first. */
  notes: string[];
  /** Tokens of its leases that were merged, and those that its pay follows. */
  mergedTokens: number;
  paidTokens: number;
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
  /** Leases in all; those done a second time by somebody else, and whether the same came out. */
  audits: { leases: number; drawn: number; passed: number; failed: number };
  cheats: CheatOutcome[];
  /** The part of its time in the job that each worker has trained; undefined for one that was never ready. */
  utilisation: { role: string; part: number | undefined }[];
  /** What the reward pool minted for the node, by day; in wei. */
  rewards: { slot: number; amountWei: string }[];
  /** Every party and contract. The balances after add up to those before and what was minted. */
  balances: Balance[];
  modelDir: string;
  /** What loads the model, for a reader. */
  loadedBy: string;
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
    ...summary.cheats.flatMap((cheat) => checkCheat(summary, cheat)),
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

/** One that works is paid for that; one that does not, for less than half of what its part would be. */
function checkCheat({ balances }: DemoSummary, { kind, address, notes }: CheatOutcome): [boolean, string][] {
  const pays = (of: (balance: Balance) => boolean) =>
    balances.filter(of).map(({ before, after }) => BigInt(after) - BigInt(before));
  const [pay = 0n] = pays((balance) => balance.address === address);
  const honest = pays(({ role }) => role.startsWith('worker')).reduce((least, one) => (one < least ? one : least));
  return [
    [notes.length > 0, `nothing was noticed of the cheat ${kind}`],
    [kind === 'speed' ? pay < 3n * honest : 2n * pay < honest, `the cheat ${kind} was paid ${pay} wei`],
  ];
}

/** Counts the audits of a finished job. */
export function countAudits({
  rounds,
  audits,
  node,
}: Pick<Manifest, 'audits' | 'node'> & { rounds: readonly { leases: readonly unknown[] }[] }): DemoSummary['audits'] {
  const keys = new Set(audits.map(leaseKey));
  const findings = [...keys].map((key) =>
    findingOf(
      audits.filter((audit) => leaseKey(audit) === key),
      node,
    ),
  );
  const countOf = (wanted: AuditFinding) => findings.filter((finding) => finding === wanted).length;
  const leases = rounds.reduce((count, round) => count + round.leases.length, 0);
  return { leases, drawn: keys.size, passed: countOf('passed'), failed: countOf('failed') };
}

export function cheatOutcome(
  kind: string,
  { address }: { address: string },
  notes: string[],
  manifest: Manifest,
): CheatOutcome {
  const own = manifest.rounds.flatMap(({ leases }) => leases).filter(({ worker }) => worker === address);
  return {
    kind,
    address,
    notes,
    mergedTokens: own.reduce((sum, { tokens }) => sum + tokens, 0),
    paidTokens: manifest.payouts.find(({ worker }) => worker === address)?.tokens ?? 0,
  };
}

/** How several verifiers come to one verdict: each signs its own, whoever completes the quorum sends it. */
import type { Address, JobId } from '../domain/ids';
import { byAddress } from '../domain/order';
import type { Clock } from '../lib/clock';
import { crashPoint } from '../lib/crash-point';
import type { Logger } from '../lib/logger';
import type { SignedAttestation } from '../protocol/storage';
import type { SubmittedJob } from './manifest-checks';

/** What a verifier signs. */
export type SignedVerdict = SignedAttestation['verdict'];

export interface QuorumDeps {
  readonly address: Address;
  /** How many verifiers must agree on the job's result. */
  quorumOf(jobId: JobId): Promise<number>;
  sign(job: SubmittedJob, verdict: SignedVerdict): Promise<SignedAttestation>;
  /** Puts an attestation where the other verifiers find it. */
  publish(jobId: JobId, attestation: SignedAttestation): Promise<void>;
  /**
   * Returns what registered verifiers signed about this result. Every signature has been checked: the
   * contract would refuse all of them for one that does not count.
   */
  listAttestations(job: SubmittedJob): Promise<SignedAttestation[]>;
  /** Sends the verdict, with the signatures of others in the order of their addresses. */
  send(job: SubmittedJob, verdict: SignedVerdict, signatures: readonly string[]): Promise<void>;
  clock: Clock;
  logger: Logger;
}

/** What a verifier has said about one result. */
export interface Attesting {
  /** The verdict that is published. */
  published?: SignedVerdict | undefined;
  /** Whether it was this one that completed the quorum; unknown until the others' were listed after it. */
  isCompleter?: boolean | undefined;
  /** When the quorum was first seen complete without its transaction. */
  completeAtMs?: number | undefined;
}

/** Whoever completed the quorum may have been killed before it sent; after this time another one sends. */
const TAKE_OVER_MS = 60_000;

/**
 * Brings a verdict to the chain, alone or with others. Returns false while other verifiers are awaited: the
 * caller asks again until the result awaits no verdict any more.
 */
export async function attest(
  job: SubmittedJob,
  own: SignedVerdict,
  state: Attesting,
  deps: QuorumDeps,
): Promise<boolean> {
  const quorum = await deps.quorumOf(job.jobId);
  if (quorum <= 1) {
    crashPoint('verdict.sending');
    await deps.send(job, own, []);
    return true;
  }
  const verdict = leadingVerdict(own, state.published, othersIn(await deps.listAttestations(job), deps.address));
  const isNew = !isSame(verdict, state.published);
  if (isNew) {
    await deps.publish(job.jobId, await deps.sign(job, verdict));
    Object.assign(state, { published: verdict, isCompleter: undefined });
  }
  const others = othersIn(await deps.listAttestations(job), deps.address);
  const alike = others.filter((other) => isSame(other.verdict, verdict));
  state.isCompleter ??= 1 + alike.length >= quorum;
  if (1 + alike.length < quorum) return stillAwaits(job, { isNew, alike: alike.length, quorum }, state, deps);
  state.completeAtMs ??= deps.clock.now();
  // Two that send at once would pay gas for one verdict: it is for the one that completed the quorum.
  if (!state.isCompleter && deps.clock.now() < state.completeAtMs + TAKE_OVER_MS) return false;
  await deps.send(
    job,
    verdict,
    alike.slice(0, quorum - 1).map(({ signature }) => signature),
  );
  return true;
}

function stillAwaits(
  { jobId }: SubmittedJob,
  { isNew, alike, quorum }: { isNew: boolean; alike: number; quorum: number },
  state: Attesting,
  { logger }: QuorumDeps,
): false {
  state.completeAtMs = undefined;
  if (isNew) logger.info('Verdict published; awaiting other verifiers', { jobId, agree: 1 + alike, quorum });
  return false;
}

/** The others' attestations by address, each signer once a verdict: a hostile storage may repeat one. */
function othersIn(attestations: readonly SignedAttestation[], self: Address): SignedAttestation[] {
  const byKey = new Map(
    attestations
      .filter(({ verifier }) => verifier !== self)
      .map((attestation) => [`${attestation.verifier} ${keyOf(attestation.verdict)}`, attestation]),
  );
  return [...byKey.values()].sort((a, b) => byAddress(a.verifier, b.verifier));
}

/**
 * Chooses what to sign. The contract counts rejections for one reason only, and verifiers may find different
 * ones: all that reject sign the reason that most have signed, of equally many the smallest. So they meet on
 * one, in whatever order they come.
 */
function leadingVerdict(
  own: SignedVerdict,
  published: SignedVerdict | undefined,
  others: readonly SignedAttestation[],
): SignedVerdict {
  if (own.accepted) return own;
  const signed = [...others.map(({ verdict }) => verdict), ...(published ? [published] : [])];
  const votes = new Map<string, number>();
  for (const verdict of signed)
    if (!verdict.accepted) votes.set(verdict.reasonHash, (votes.get(verdict.reasonHash) ?? 0) + 1);
  const [leader] = [...votes].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1));
  return leader ? { accepted: false, reasonHash: leader[0] } : own;
}

function isSame(a: SignedVerdict, b: SignedVerdict | undefined): boolean {
  return b !== undefined && keyOf(a) === keyOf(b);
}

function keyOf(verdict: SignedVerdict): string {
  return verdict.accepted ? 'accepted' : verdict.reasonHash;
}

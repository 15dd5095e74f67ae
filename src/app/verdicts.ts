/** What a verifier needs of chain and storage to say its verdict, and to ask for what it misses. */
import { attestationSigner, commitmentOf, signAttestation } from '../chain/acts/attestations';
import type { Emeth } from '../chain/acts/emeth';
import type { Chain } from '../chain/rpc/client';
import type { Wallet } from '../chain/sending/wallet';
import { parseBlobReference, promisedHash } from '../domain/blob-reference';
import { Sha256 } from '../domain/ids';
import { awaitsVerdict } from '../domain/job';
import { evidenceRequestTypes, type SignedAttestation, STORAGE_DOMAIN } from '../protocol/storage';
import type { StatementsClient } from '../storage/client';
import type { Store } from '../store/open';
import type { SubmittedJob } from '../verifier/manifest-checks';
import type { VerifierDeps } from '../verifier/verifier';
import { describeSubmitted, findSubmission } from './chain-job';
import type { JobSources } from './job-sources';

interface VerdictParts {
  chain: Chain;
  wallet: Wallet;
  emeth: Pick<Emeth, 'verify' | 'rejectResult'>;
  store: Pick<Store, 'jobs'>;
  statements: StatementsClient;
  sources: JobSources;
  signal: AbortSignal;
}

type VerdictDeps = Pick<
  VerifierDeps,
  | 'address'
  | 'verdictDueMs'
  | 'quorumOf'
  | 'sign'
  | 'publish'
  | 'listAttestations'
  | 'send'
  | 'requestEvidence'
  | 'servesOthers'
>;

/** How many other results are looked up to tell whether a storage is the right one. */
const OTHER_RESULTS = 8;

export function verdictDeps(parts: VerdictParts): VerdictDeps {
  const { chain, wallet, emeth, statements } = parts;
  return {
    address: wallet.address,
    async verdictDueMs(jobId) {
      const { state, deadlineMs } = await chain.job(jobId);
      return awaitsVerdict(state) ? deadlineMs : undefined;
    },
    quorumOf: (jobId) => chain.quorumOf(jobId),
    async sign(job, verdict) {
      const signature = await signAttestation(wallet, chain.core, { ...job, verdict });
      return { verifier: wallet.address, commitment: commitmentOf(job), verdict, signature };
    },
    publish: (jobId, attestation) => statements.putAttestation(jobId, attestation),
    listAttestations: (job) => listCounting(parts, job),
    async send(job, verdict, signatures) {
      if (verdict.accepted) await emeth.verify(job, signatures);
      else await emeth.rejectResult(job, verdict.reasonHash, signatures);
    },
    async requestEvidence(jobId, reference) {
      const atMs = Date.now();
      const signature = await wallet.signTyped(STORAGE_DOMAIN, evidenceRequestTypes, { jobId, reference, atMs });
      await statements.putEvidenceRequest(jobId, { verifier: wallet.address, reference, atMs, signature });
    },
    servesOthers: (job, missing) => servesOthers(parts, job, missing),
  };
}

/** Lists the attestations that the contract would count: of this result, signed, by registered verifiers. */
async function listCounting({ chain, statements }: VerdictParts, job: SubmittedJob): Promise<SignedAttestation[]> {
  const { jobId } = job;
  const own = commitmentOf(job);
  const isGenuine = ({ commitment, verdict, signature, verifier }: SignedAttestation) =>
    commitment === own && attestationSigner(signature, chain, { jobId, commitment, verdict }) === verifier;
  const signed = (await statements.listAttestations(jobId)).filter(isGenuine);
  const counts = await Promise.all(signed.map(({ verifier }) => chain.isVerifier(verifier)));
  return signed.filter((_, i) => counts[i]);
}

/** Whether the storages serve this job's manifest or data set, or other results of the chain. */
async function servesOthers(parts: VerdictParts, job: SubmittedJob, missing: string): Promise<boolean> {
  if (await servesAny(parts, job, [resultOf(job), promisedHash(job.dataset)], missing)) return true;
  const rows = await parts.store.jobs.list({ chainStates: ['VERIFIED', 'SUBMITTED', 'DISPUTED'] });
  const others = rows.filter(({ id }) => id !== job.jobId).slice(0, OTHER_RESULTS);
  for (const row of others) {
    const submission = await findSubmission(parts.chain, row.id);
    if (!submission) continue;
    const other = describeSubmitted(parts.chain, row, submission);
    if (await servesAny(parts, other, [resultOf(other)], missing)) return true;
  }
  return false;
}

function resultOf({ resultHash }: Pick<SubmittedJob, 'resultHash'>): Sha256 | undefined {
  return Sha256.safeParse(resultHash.slice(2)).data;
}

async function servesAny(
  { sources, signal }: VerdictParts,
  job: SubmittedJob,
  names: readonly (Sha256 | undefined)[],
  missing: string,
): Promise<boolean> {
  for (const name of names) {
    if (name === undefined || name === parseBlobReference(missing)?.sha256) continue;
    const isServed = await sources(job)
      .size(name, signal)
      .then(
        () => true,
        () => false,
      );
    if (isServed) return true;
  }
  return false;
}

/** What a storage takes of verifiers about a job: attestations of its result, and requests for evidence. */
import { type Address, JobId } from '../domain/ids';
import { AppError } from '../lib/errors';
import { EvidenceRequest, SignedAttestation } from '../protocol/storage';
import { parseBody } from './errors';

export type StatementError =
  | { code: 'storage/bad-job'; status: 400; jobId: string }
  | { code: 'storage/unauthorised'; status: 401; reason: string }
  | { code: 'storage/not-verifier'; status: 403; account: Address }
  | { code: 'storage/no-verdict-awaited'; status: 409; jobId: JobId }
  | { code: 'storage/other-result'; status: 409; commitment: string };

export interface StatementDeps {
  attestations: StatementTable<SignedAttestation>;
  evidenceRequests: StatementTable<EvidenceRequest>;
  /** Returns what the contract stores of the job's result; undefined when it awaits no verdict. */
  awaitedCommitment(jobId: JobId): Promise<string | undefined>;
  isVerifier(account: Address): Promise<boolean>;
  /** Returns the signer; undefined for what is no signature. */
  attestationSigner(jobId: JobId, attestation: SignedAttestation): Address | undefined;
  requestSigner(jobId: JobId, request: EvidenceRequest): Address | undefined;
  nowMs(): number;
  /** Called when a verifier asks for something that it cannot get. */
  onRequest(jobId: JobId, request: EvidenceRequest): void;
}

interface StatementTable<T> {
  put(jobId: JobId, statement: T): Promise<void>;
  list(jobId: JobId): Promise<T[]>;
}

/** How far the clocks of a verifier and of a storage may differ. */
const CLOCKS_APART_MS = 10 * 60_000;

/** Stores a verifier's attestation of the result that awaits a verdict. Throws `storage/…`. */
export async function takeAttestation(deps: StatementDeps, name: string, body: unknown): Promise<SignedAttestation> {
  const jobId = parseJobName(name);
  const attestation = parseBody(SignedAttestation, body);
  if (deps.attestationSigner(jobId, attestation) !== attestation.verifier) throw notSigned();
  const commitment = await requireVerifierOf(deps, jobId, attestation.verifier);
  if (commitment !== attestation.commitment) {
    throw new AppError<StatementError>(
      { code: 'storage/other-result', status: 409, commitment },
      `The result of ${jobId} on chain is another one (commitment ${commitment}).`,
    );
  }
  await deps.attestations.put(jobId, attestation);
  return attestation;
}

/** Stores a verifier's request for evidence. Throws `storage/…`. */
export async function takeEvidenceRequest(deps: StatementDeps, name: string, body: unknown): Promise<EvidenceRequest> {
  const jobId = parseJobName(name);
  const request = parseBody(EvidenceRequest, body);
  if (Math.abs(request.atMs - deps.nowMs()) > CLOCKS_APART_MS) throw outdated();
  if (deps.requestSigner(jobId, request) !== request.verifier) throw notSigned();
  await requireVerifierOf(deps, jobId, request.verifier);
  await deps.evidenceRequests.put(jobId, request);
  deps.onRequest(jobId, request);
  return request;
}

export function parseJobName(name: string): JobId {
  const parsed = JobId.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AppError<StatementError>(
    { code: 'storage/bad-job', status: 400, jobId: name },
    'A job is named by 0x and 32 hex digits.',
  );
}

/**
 * Requires a verifier and a result for it to judge, of which it returns the commitment. So what is stored is
 * bounded by the verifiers and the jobs of the chain.
 */
async function requireVerifierOf(deps: StatementDeps, jobId: JobId, account: Address): Promise<string> {
  if (!(await deps.isVerifier(account))) {
    throw new AppError<StatementError>(
      { code: 'storage/not-verifier', status: 403, account },
      `${account} is not a registered verifier of this contract.`,
    );
  }
  const commitment = await deps.awaitedCommitment(jobId);
  if (commitment !== undefined) return commitment;
  throw new AppError<StatementError>(
    { code: 'storage/no-verdict-awaited', status: 409, jobId },
    `No result of the job ${jobId} awaits a verdict.`,
  );
}

function notSigned(): AppError<StatementError> {
  const reason = 'the signature is not of this account for this job';
  return new AppError({ code: 'storage/unauthorised', status: 401, reason }, `The statement is refused: ${reason}.`);
}

function outdated(): AppError<StatementError> {
  const reason = 'its time is more than ten minutes off; correct the clock of the verifier';
  return new AppError({ code: 'storage/unauthorised', status: 401, reason }, `The request is refused: ${reason}.`);
}

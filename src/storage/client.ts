/** The client of what a storage has of verifiers: attestations of results, and requests for evidence. */
import type { JobId } from '../domain/ids';
import { fetchJson } from '../http/fetch-json';
import { AppError, describeError } from '../lib/errors';
import {
  AttestationList,
  type EvidenceRequest,
  EvidenceRequestList,
  type SignedAttestation,
} from '../protocol/storage';

export type StatementClientError =
  | { code: 'storage/unreachable'; storageApi: string }
  | { code: 'storage/refused'; status: number; storageApi: string };

/**
 * What verifiers said, at one storage or several. Nothing of it is checked: any server may answer at the
 * address.
 */
export interface StatementsClient {
  putAttestation(jobId: JobId, attestation: SignedAttestation): Promise<void>;
  listAttestations(jobId: JobId): Promise<SignedAttestation[]>;
  putEvidenceRequest(jobId: JobId, request: EvidenceRequest): Promise<void>;
  listEvidenceRequests(jobId: JobId): Promise<EvidenceRequest[]>;
}

const MAX_ANSWER_BYTES = 2 ** 20;

/**
 * Opens the client of several storages: what is put goes to all of them, what is listed comes from all. Its
 * calls throw `storage/unreachable` and `storage/refused` when none of them does what is asked.
 */
export function openStatements(storages: readonly string[], signal?: AbortSignal): StatementsClient {
  const clients = storages.map((storageApi) => openStatementsAt(storageApi, signal));
  return {
    putAttestation: async (...put) => void (await settleSome(clients.map((client) => client.putAttestation(...put)))),
    listAttestations: async (jobId) => (await settleSome(clients.map((one) => one.listAttestations(jobId)))).flat(),
    putEvidenceRequest: async (...put) =>
      void (await settleSome(clients.map((client) => client.putEvidenceRequest(...put)))),
    listEvidenceRequests: async (jobId) =>
      (await settleSome(clients.map((one) => one.listEvidenceRequests(jobId)))).flat(),
  };
}

/** Returns what came of those that did not fail. Throws the first failure when all did. */
async function settleSome<T>(calls: readonly Promise<T>[]): Promise<T[]> {
  const outcomes = await Promise.allSettled(calls);
  const values = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const failure = outcomes.find((outcome) => outcome.status === 'rejected');
  if (values.length === 0 && failure) throw failure.reason;
  return values;
}

function openStatementsAt(storageApi: string, signal?: AbortSignal): StatementsClient {
  const call = (jobId: JobId, kind: string, put?: object) =>
    askStorage(storageApi, `jobs/${jobId}/${kind}`, put, signal);
  return {
    putAttestation: async (jobId, attestation) => void (await call(jobId, 'attestations', attestation)),
    listAttestations: async (jobId) =>
      read(storageApi, AttestationList, await call(jobId, 'attestations')).attestations,
    putEvidenceRequest: async (jobId, request) => void (await call(jobId, 'evidence-requests', request)),
    listEvidenceRequests: async (jobId) =>
      read(storageApi, EvidenceRequestList, await call(jobId, 'evidence-requests')).requests,
  };
}

async function askStorage(
  storageApi: string,
  path: string,
  put: object | undefined,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const url = `${storageApi.replace(/\/$/, '')}/${path}`;
  const { status, body } = await fetchJson(url, { maxBytes: MAX_ANSWER_BYTES, signal, put }).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw unreachable(storageApi, cause);
  });
  if (status < 300) return body;
  const message = (body as { error?: { message?: unknown } } | null)?.error?.message;
  throw new AppError<StatementClientError>(
    { code: 'storage/refused', status, storageApi },
    `The storage ${storageApi} answered ${status}${typeof message === 'string' ? `: ${message.slice(0, 500)}` : '.'}`,
  );
}

function read<T>(storageApi: string, schema: { safeParse(body: unknown): { data?: T } }, body: unknown): T {
  const { data } = schema.safeParse(body);
  if (data !== undefined) return data;
  throw unreachable(storageApi, new Error('what answers there is no storage of this version'));
}

function unreachable(storageApi: string, cause: unknown): AppError<StatementClientError> {
  return new AppError(
    { code: 'storage/unreachable', storageApi },
    `The storage ${storageApi} cannot be asked (${describeError(cause)}); correct storageApi, or start the storage.`,
    { cause },
  );
}

/** The storage API: its routes, and what uploaders and verifiers sign. */
import { z } from 'zod';
import { Address, JobId } from '../domain/ids';

/**
 * Blobs over HTTP.
 *
 *     HEAD     {storageApi}/blobs/<sha256>     size
 *     GET      {storageApi}/blobs/<sha256>     ranged bytes; needs `Authorization`, see `readTypes`
 *     HEAD     {storageApi}/uploads/<sha256>   `Upload-Offset`: bytes of the upload the server already has
 *     PUT      {storageApi}/uploads/<sha256>   body, appended at `Upload-Offset`; needs `Authorization`
 *     GET/PUT  {storageApi}/jobs/<id>/attestations        what verifiers signed about the job's result
 *     GET/PUT  {storageApi}/jobs/<id>/evidence-requests   what verifiers miss of it
 *     GET      {storageApi}/sizeOf, POST {storageApi}/node/…   by their names of 2022, see docs/storage.md
 *
 * An upload may come in any number of pieces, one PUT each, so that the limits of proxies do not matter.
 * Each carries `Upload-Length` (total bytes) and `Authorization: Emeth <address> <expiresAtMs>
 * <signature>`, where the signature is EIP-712 over `Upload`, domain {name 'Emeth Storage', version '1',
 * chainId}. It authorises this one blob.
 *
 * Whoever has sent all bytes of a blob is its *holder*. Where they are here already, or came from several,
 * the answer is 428, and a PUT without a body proves it: `Upload-Proof`, the sha256 of the owner's address
 * (20 bytes) and the blob behind it, in hex.
 */
export const uploadTypes = {
  Upload: [
    { name: 'owner', type: 'address' },
    { name: 'blob', type: 'bytes32' },
    { name: 'bytes', type: 'uint256' },
    { name: 'expiresAtMs', type: 'uint256' },
  ],
};

/**
 * Reading a blob as a part of a job: `Authorization: Emeth-Read <address> <jobId> <expiresAtMs>
 * <signature>`, where the signature is EIP-712 over `Read` in the domain of uploads. It expires within a
 * day, and lets this account read, of this job, whatever `domain/blob-access.ts` says it may. A signature
 * for `NO_JOB` reads what the account holds; it is for storages that the account trusts itself. Without a
 * key, `GET …/blobs/<sha256>?job=<jobId>` reads what everybody may: manifests, evidence, and all of a job
 * with `"public": true`.
 *
 * 401: no signature, or none that counts. 403: not for this account; the answer is the same whether or not
 * there is such a blob, whose size HEAD tells anybody who knows its name. 404: not here, or not of this
 * job.
 */
export const readTypes = {
  Read: [
    { name: 'reader', type: 'address' },
    { name: 'jobId', type: 'bytes16' },
    { name: 'expiresAtMs', type: 'uint256' },
  ],
};
/** Stands for no job, where an account reads what it has uploaded itself. */
export const NO_JOB = JobId.parse(`0x${'0'.repeat(32)}`);
/** For how long a signature may be valid from now on. */
export const MAX_PERMIT_MS = 24 * 3600_000;

export const LINK_DOMAIN = 'Emeth Link';
export const STORAGE_DOMAIN = 'Emeth Storage';

/** Size limit of what a verifier puts, in bytes. */
export const MAX_STATEMENT_BYTES = 8192;

const hex = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-f]{${2 * bytes}}$`), `${bytes} bytes of hex`);

/**
 * A verifier's verdict on a job's result, as others read it. The signature is EIP-712 over the escrow
 * contract's own `Attestation`, so that any of them can bring several of these to the chain.
 */
export const SignedAttestation = z.strictObject({
  verifier: Address,
  /** What the contract stores of the result. */
  commitment: hex(20),
  verdict: z.discriminatedUnion('accepted', [
    z.strictObject({ accepted: z.literal(true) }),
    z.strictObject({ accepted: z.literal(false), reasonHash: hex(16) }),
  ]),
  signature: hex(65),
});
export type SignedAttestation = z.infer<typeof SignedAttestation>;

/** The answer to GET `…/attestations`. */
export const AttestationList = z.object({ attestations: z.array(SignedAttestation).max(1000) });

/**
 * A verifier's request for something that it cannot get: `sha256:<hex>`, or the data set's reference. The
 * signature is EIP-712 over `EvidenceRequest` in the domain of uploads.
 */
export const EvidenceRequest = z.strictObject({
  verifier: Address,
  reference: z.string().min(1).max(2000),
  atMs: z.int().min(0),
  signature: hex(65),
});
export type EvidenceRequest = z.infer<typeof EvidenceRequest>;

/** The answer to GET `…/evidence-requests`. */
export const EvidenceRequestList = z.object({ requests: z.array(EvidenceRequest).max(1000) });

export const evidenceRequestTypes = {
  EvidenceRequest: [
    { name: 'jobId', type: 'bytes16' },
    { name: 'reference', type: 'string' },
    { name: 'atMs', type: 'uint256' },
  ],
};

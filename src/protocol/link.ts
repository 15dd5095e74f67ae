/** Messages between master and worker. */
import { z } from 'zod';
import { Address, Bytes32, JobId, Sha256, Wei } from '../domain/ids';
import { MAX_BLOB_BYTES } from '../domain/lease-bounds';
import { probeShapes } from '../domain/probe';
import { BaseRecord } from './base';
import { BlobRef } from './blob-ref';
import { DeviceKind } from './device-kind';
import { MAX_FILE_LIST_BYTES } from './file-list';
import { ResolvedParams } from './job-params';
import { TrainedUpdate } from './update';

/**
 * The wire between master and worker: one WebSocket, subprotocol `emeth.v1`. Text frames carry one JSON
 * message of the unions below, at most `MAX_CONTROL_BYTES`; binary frames carry blob chunks
 * (`link/frames.ts`).
 *
 * Opening: master `challenge` → worker `hello` (signed) → master `welcome` (signed). Nothing else is accepted
 * before. Both signatures cover an ephemeral X25519 key of each side; afterwards every text frame carries a
 * counted MAC under the agreed key (`link/seal.ts`), so that a third party can read a plain `ws://` but not
 * write to it. Chunks need no MAC: a blob is verified by its hash.
 */
export const SUBPROTOCOL = 'emeth.v1';
export const MAX_CONTROL_BYTES = 256 * 1024;
export const CHUNK_BYTES = 256 * 1024;
/** How long a challenge stays valid. */
export const CHALLENGE_TTL_MS = 60_000;
/** Bytes of one transfer that a receiver lets be in flight at once. */
export const TRANSFER_WINDOW_BYTES = 4 * 1024 * 1024;

/** More rows than the embedding of any base has. */
const MAX_BASE_VOCABULARY = 2 ** 21;
/** Blocks of a job. Positions of them are exact numbers in JSON, and in what is computed with them. */
const MAX_BLOCKS = 2 ** 40;

const ProbeId = z.string().max(64);
const Signature = z.string().regex(/^0x[0-9a-fA-F]{130}$/);

export const Device = z.strictObject({
  name: z.string().max(200),
  kind: DeviceKind,
  memoryBytes: z.int().min(0),
});

/** EIP-712 types of the two signatures of the handshake; domain {name 'Emeth Link', version '1', chainId}. */
export const helloTypes = {
  Hello: [
    { name: 'master', type: 'address' },
    { name: 'worker', type: 'address' },
    { name: 'masterNonce', type: 'bytes32' },
    { name: 'workerNonce', type: 'bytes32' },
    { name: 'masterKey', type: 'bytes32' },
    { name: 'workerKey', type: 'bytes32' },
    { name: 'expiresAtMs', type: 'uint256' },
    /** sha256 of the canonical JSON of hello.offer. */
    { name: 'offerHash', type: 'bytes32' },
  ],
};
export const welcomeTypes = {
  Welcome: [
    { name: 'master', type: 'address' },
    { name: 'worker', type: 'address' },
    { name: 'masterNonce', type: 'bytes32' },
    { name: 'workerNonce', type: 'bytes32' },
    { name: 'masterKey', type: 'bytes32' },
    { name: 'workerKey', type: 'bytes32' },
    { name: 'session', type: 'bytes32' },
    { name: 'heartbeatMs', type: 'uint256' },
  ],
};
/** EIP-712 type of the receipt a master signs after each round; same domain. */
export const receiptTypes = {
  Receipt: [
    { name: 'jobId', type: 'bytes16' },
    { name: 'round', type: 'uint256' },
    { name: 'worker', type: 'address' },
    { name: 'tokens', type: 'uint256' },
    { name: 'totalTokens', type: 'uint256' },
    { name: 'auditTokens', type: 'uint256' },
    { name: 'heldTokens', type: 'uint256' },
    { name: 'expectedWei', type: 'uint256' },
  ],
};

/** EIP-712 type of the signature whose hash is a node's audit seed of a job; same domain, never sent. */
export const auditSeedTypes = { AuditSeed: [{ name: 'jobId', type: 'bytes16' }] };

/** The most devices that an offer lists. */
export const MAX_DEVICES = 64;

/** The devices, speed and held lease of a worker; part of `hello` and covered by its signature. */
export const Offer = z.strictObject({
  version: z.string().max(40),
  devices: z.array(Device).min(1).max(MAX_DEVICES),
  /** Measured (or configured) training speed in GFLOP/s. */
  powerCapacity: z.number().positive().max(1e12),
  /**
   * A lease that survived a lost connection or a restart of the master, with its update if it is finished.
   */
  held: z.strictObject({ jobId: JobId, leaseId: z.string().max(64), update: BlobRef.optional() }).optional(),
});
export type Offer = z.infer<typeof Offer>;

export const Receipt = z.strictObject({
  jobId: JobId,
  round: z.int().min(0),
  worker: Address,
  tokens: z.int().min(0).describe('tokens of this worker merged in this round'),
  totalTokens: z.int().min(0).describe('tokens of this worker merged in the job so far'),
  auditTokens: z.int().min(0).describe('tokens of leases of others that it did again, and that are paid'),
  heldTokens: z.int().min(0).describe('tokens merged since its last passed audit; paid unless the next one fails'),
  expectedWei: Wei.describe('pay so far, if the job is verified as planned and no more audits are paid from the pool'),
});
export type Receipt = z.infer<typeof Receipt>;

/** Transfers, in both directions: the receiver of a blob pulls it, and numbers the transfers. */
const transferMessages = [
  z.strictObject({
    type: z.literal('blob.pull'),
    transfer: z.int().min(1).max(0xffff_ffff),
    sha256: Sha256,
    bytes: z.int().min(1).max(MAX_BLOB_BYTES),
    /** Size of the receiver's `.part` file: where to start. */
    offset: z.int().min(0).max(MAX_BLOB_BYTES),
    /** Bytes the sender may send before it waits for the window to move on. */
    window: z.int().min(1).max(TRANSFER_WINDOW_BYTES),
  }),
  /** Bytes the receiver has written to disk; the sender may send as many again. */
  z.strictObject({
    type: z.literal('blob.window'),
    transfer: z.int().min(1),
    bytes: z.int().min(1).max(TRANSFER_WINDOW_BYTES),
  }),
  /** From the receiver: stop sending. */
  z.strictObject({ type: z.literal('blob.cancel'), transfer: z.int().min(1), reason: z.string().max(500) }),
  /** From the sender: the blob does not exist here, or cannot be read. */
  z.strictObject({ type: z.literal('blob.failed'), transfer: z.int().min(1), reason: z.string().max(500) }),
] as const;
export type TransferMessage = z.infer<(typeof transferMessages)[number]>;
export type TransferMessageIn = z.input<(typeof transferMessages)[number]>;

export const MasterMessage = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('challenge'),
    version: z.string().max(40),
    chainId: z.int().min(1),
    master: Address,
    nonce: Bytes32,
    key: Bytes32,
    expiresAtMs: z.int(),
  }),
  z.strictObject({
    type: z.literal('welcome'),
    session: Bytes32,
    signature: Signature,
    heartbeatMs: z.int().min(100).max(600_000),
  }),
  /** Start a job; answered by `job.ready` or `job.failed`. */
  z.strictObject({
    type: z.literal('job.open'),
    jobId: JobId,
    params: ResolvedParams,
    /** The files of the base are pulled one by one, after the list that names them. */
    base: BaseRecord.extend({ listBytes: z.int().min(1).max(MAX_FILE_LIST_BYTES) }).optional(),
    vocabSize: z.int().min(2).max(MAX_BASE_VOCABULARY),
    totalBlocks: z.int().min(1).max(MAX_BLOCKS),
    /** sha256 of the seed that decides which leases are done a second time; the manifest names the seed. */
    auditSeedHash: Sha256.optional(),
  }),
  z.strictObject({
    type: z.literal('lease.grant'),
    jobId: JobId,
    leaseId: z.string().max(64),
    round: z.int().min(0),
    /** Job-wide positions [start, end) of the blocks. */
    start: z.int().min(0).max(MAX_BLOCKS),
    end: z.int().min(1).max(MAX_BLOCKS),
    shard: BlobRef,
    theta: BlobRef,
    /** The step of the previous round, for a worker that still holds θ of `base`. */
    delta: z.strictObject({ base: Sha256, blob: BlobRef }).optional(),
    /** Milliseconds the worker has; afterwards its range goes to others. */
    deadlineMs: z.int().min(1),
  }),
  /** The lease has ended (round closed, deadline passed, or range leased to others); drop the work. */
  z.strictObject({ type: z.literal('lease.revoke'), leaseId: z.string().max(64), reason: z.string().max(500) }),
  z.strictObject({
    type: z.literal('update.verdict'),
    leaseId: z.string().max(64),
    accepted: z.boolean(),
    reason: z.string().max(500).optional(),
  }),
  z.strictObject({ type: z.literal('receipt'), receipt: Receipt, signature: Signature }),
  /** The job no longer needs this worker; drop its child, cache and files. */
  z.strictObject({ type: z.literal('job.close'), jobId: JobId, reason: z.string().max(500) }),
  /**
   * Do a piece of made-up training, for which weights and data follow from the seed; answered by `probe.done`
   * or `probe.failed`. A probe is several runs, one at a time.
   */
  z.strictObject({
    type: z.literal('probe.run'),
    probeId: ProbeId,
    seed: z
      .int()
      .min(0)
      .max(2 ** 31 - 1),
    shape: z.enum(probeShapes),
    batch: z.int().min(1).max(4096),
    steps: z.int().min(1).max(10_000),
    /** Milliseconds the worker has. */
    deadlineMs: z.int().min(1),
  }),
  /** The probe is over; stop its work and drop its files. */
  z.strictObject({ type: z.literal('probe.close'), probeId: ProbeId, reason: z.string().max(500) }),
  z.strictObject({ type: z.literal('ping'), atMs: z.int() }),
  /** The reason, sent before the socket is closed. */
  z.strictObject({ type: z.literal('refused'), code: z.string().max(60), reason: z.string().max(500) }),
  ...transferMessages,
]);
export type MasterMessage = z.infer<typeof MasterMessage>;
export type MasterMessageIn = z.input<typeof MasterMessage>;

export const WorkerMessage = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    worker: Address,
    nonce: Bytes32,
    key: Bytes32,
    offer: Offer,
    signature: Signature,
  }),
  z.strictObject({ type: z.literal('job.ready'), jobId: JobId }),
  z.strictObject({
    type: z.literal('job.failed'),
    jobId: JobId,
    code: z.string().max(60),
    reason: z.string().max(500),
  }),
  z.strictObject({
    type: z.literal('lease.progress'),
    leaseId: z.string().max(64),
    step: z.int().min(0),
    steps: z.int().min(1),
    loss: z.number(),
    tokensPerSecond: z.number().min(0),
  }),
  /** The lease is trained; the master pulls the update by its hash. May be repeated. */
  z.strictObject({
    type: z.literal('lease.commit'),
    leaseId: z.string().max(64),
    ...TrainedUpdate.shape,
  }),
  z.strictObject({
    type: z.literal('lease.failed'),
    leaseId: z.string().max(64),
    code: z.string().max(60),
    reason: z.string().max(500),
  }),
  /** The master pulls the update of the last run by its hash. */
  z.strictObject({
    type: z.literal('probe.done'),
    probeId: ProbeId,
    ...TrainedUpdate.pick({ update: true, tokens: true, seconds: true, endTheta: true }).shape,
  }),
  z.strictObject({
    type: z.literal('probe.failed'),
    probeId: ProbeId,
    code: z.string().max(60),
    reason: z.string().max(500),
  }),
  z.strictObject({ type: z.literal('pong'), atMs: z.int() }),
  z.strictObject({ type: z.literal('bye'), reason: z.string().max(500) }),
  ...transferMessages,
]);
export type WorkerMessage = z.infer<typeof WorkerMessage>;
export type WorkerMessageIn = z.input<typeof WorkerMessage>;

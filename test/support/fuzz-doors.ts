/** The doors that strangers' bytes come through, each as a function that takes one generated input. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Dispatcher, Pool } from 'undici';
import { z } from 'zod';
import { adminRoutes } from '../../src/admin/routes';
import { buildPayouts } from '../../src/chain/acts/payouts';
import { loadConfig } from '../../src/config/load';
import { type Role, roleSchemas } from '../../src/config/schema';
import { exampleValues } from '../../src/config/template';
import { clientBehind } from '../../src/http/client-address';
import { openHttp } from '../../src/http/server';
import { AppError, errorCode } from '../../src/lib/errors';
import { canonicalJson, sha256 } from '../../src/lib/hash';
import { silentLogger } from '../../src/lib/logger';
import { chunkFrame, decodeChunk, HEADER_BYTES } from '../../src/link/frames';
import { Opener, Sealer } from '../../src/link/seal';
import { parseMessage } from '../../src/link/text';
import type { AdminApi } from '../../src/protocol/admin';
import { MasterMessage, WorkerMessage } from '../../src/protocol/link';
import { findFlaw, readManifest, type SubmittedJob } from '../../src/verifier/manifest-checks';
import { editedBytes, editedJson, editedText } from './fuzz-inputs';
import { honestManifest, submittedJob } from './manifest';
import { openScratch } from './scratch';
import { openTestStorage } from './storage';
import { commit, grant, openJob } from './worker-messages';

/** One door: `take` resolves for every input that is answered or refused as it should be, and throws else. */
export interface FuzzDoor extends AsyncDisposable {
  take(input: unknown): Promise<void>;
  readonly inputs: fc.Arbitrary<unknown>;
}

export const fuzzDoors = {
  'frame decoder': openFrames,
  'JSON-RPC': openJsonRpc,
  'storage API': openStorageApi,
  'manifest reader': openManifests,
  'configuration reader': openConfigs,
} satisfies Record<string, () => Promise<FuzzDoor>>;

/** An HTTP answer of this status or above is a fault of the server; 503 and 507 are words for its limits. */
const FAULT = 500;
const OWN_LIMITS = [503, 507];
/** A server counts requests per address and minute; each address of loopback makes fewer. */
const REQUESTS_PER_ADDRESS = 200;
/** What the client says of requests that it cannot write, or whose connection the server has ended. */
const UNSENT = [
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
  'UND_ERR_SOCKET',
];

const HttpInput = z.object({
  method: z.string().regex(/^[A-Z]{1,10}$/),
  path: z.string().regex(/^\/[\x21-\x7e]*$/),
  headers: z.record(z.string().regex(/^[\w-]+$/), z.string().regex(/^[\x20-\x7e]*$/)),
  body: z.string(),
});

async function openFrames(): Promise<FuzzDoor> {
  const key = Buffer.alloc(32, 7);
  const chunk = chunkFrame(3, 2 ** 20, 100).frame.fill(1, HEADER_BYTES);
  const messages: object[] = [openJob(), grant('lease-1'), commit('lease-1'), { type: 'pong', atMs: 1 }];
  const text = editedJson(messages).map((message) => JSON.stringify(message));
  const sealed = (plain: string) => new Sealer(key).seal(plain);
  return {
    inputs: fc.oneof(
      editedBytes([chunk]).map((frame) => ({ frame })),
      fc.uint8Array({ maxLength: 200 }).map((bytes) => ({ frame: Buffer.from(bytes) })),
      text.map((plain) => ({ sealed: sealed(plain) })),
      editedText(messages.map((message) => sealed(JSON.stringify(message)))).map((edited) => ({ sealed: edited })),
    ),
    async take(input) {
      const { frame, sealed: given } = input as { frame?: Buffer; sealed?: string };
      if (frame) decodeChunk(frame);
      const plain = given === undefined ? undefined : new Opener(key).open(given);
      if (plain === undefined) return;
      for (const schema of [MasterMessage, WorkerMessage]) refusing(() => parseMessage(schema, plain));
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function openJsonRpc(): Promise<FuzzDoor> {
  const missing = async (): Promise<never> => {
    throw new AppError({ code: 'job/not-found' }, 'No such job is known here.');
  };
  const admin: AdminApi = {
    disconnect: async () => 'not exist',
    allow: async () => 'not exist',
    measure: async () => 'not exist',
    workers: async () => [],
    jobs: async () => [],
    job: missing,
    requeue: missing,
    status: missing,
    storage: missing,
  };
  const options = { clientAddress: clientBehind([]), isAllowedIp: () => true, origins: [] };
  const http = await openHttp(
    { host: '127.0.0.1', port: 0 },
    (app) => app.use('/api/json-rpc', adminRoutes(options, admin, silentLogger)),
    { logger: silentLogger },
  );
  const clients = openClients(http.port);
  const calls = ['disconnect', 'allow', 'workers', 'jobs', 'job', 'requeue', 'status', 'storage', 'nothing'].map(
    (method, id) => ({
      jsonrpc: '2.0',
      id,
      method,
      params: { workerAddress: `0x${'aa'.repeat(20)}` },
    }),
  );
  const valid = [...calls, calls];
  return {
    inputs: fc.oneof(
      editedJson(valid).map((call) => JSON.stringify(call)),
      editedText(valid.map((call) => JSON.stringify(call))),
    ),
    async take(body) {
      const headers = { 'content-type': 'application/json' };
      const { status, text } = await clients.send({ method: 'POST', path: '/api/json-rpc', headers, body: `${body}` });
      if (status >= FAULT) throw new Error(`answered ${status}: ${text}`);
      if (text !== '') JSON.parse(text);
    },
    async [Symbol.asyncDispose]() {
      await clients.close();
      await http[Symbol.asyncDispose]();
    },
  };
}

async function openStorageApi(): Promise<FuzzDoor> {
  const storage = await openTestStorage();
  const clients = openClients(storage.port);
  const content = Buffer.from('Call me Ishmael.');
  const stored = (await storage.blobs.addBytes(Buffer.from('Some years ago'))).sha256;
  const name = sha256(content);
  const owner = storage.wallet.address;
  const expiresAtMs = Date.now() + 3600_000;
  const signature = await storage.sign({ owner, blob: `0x${name}`, bytes: content.length, expiresAtMs });
  const upload = {
    method: 'PUT',
    path: `/api/v1/uploads/${name}`,
    headers: {
      authorization: `Emeth ${owner} ${expiresAtMs} ${signature}`,
      'upload-length': `${content.length}`,
      'upload-offset': '0',
    },
    body: content.toString(),
  };
  const job = `0x${'0b'.repeat(16)}`;
  const json = { 'content-type': 'application/json' };
  const requests = [
    upload,
    { method: 'GET', path: `/api/v1/blobs/${stored}`, headers: { range: 'bytes=1-3' }, body: '' },
    { method: 'HEAD', path: `/api/v1/blobs/${stored}`, headers: {}, body: '' },
    { method: 'HEAD', path: `/api/v1/uploads/${name}`, headers: {}, body: '' },
    { method: 'GET', path: `/api/v1/jobs/${job}/attestations`, headers: {}, body: '' },
    { method: 'PUT', path: `/api/v1/jobs/${job}/evidence-requests`, headers: json, body: '{"verifier":"0x","atMs":1}' },
  ];
  return {
    inputs: editedJson(requests).filter(isRequest),
    async take(input) {
      const { status, text } = await clients.send(input as Dispatcher.RequestOptions);
      if (status >= FAULT && !OWN_LIMITS.includes(status)) throw new Error(`answered ${status}: ${text}`);
    },
    async [Symbol.asyncDispose]() {
      await clients.close();
      await storage[Symbol.asyncDispose]();
    },
  };
}

async function openManifests(): Promise<FuzzDoor> {
  const honest = honestManifest();
  return {
    inputs: fc.oneof(editedJson([honest]).map(canonicalJson), editedText([canonicalJson(honest)])),
    async take(text) {
      const bytes = Buffer.from(`${text}`);
      const job = { ...submittedJob(), resultHash: `0x${sha256(bytes)}` as SubmittedJob['resultHash'] };
      const read = readManifest(bytes, job);
      if ('params' in read) findFlaw(read, job, (shares) => buildPayouts(shares).root);
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function openConfigs(): Promise<FuzzDoor> {
  const scratch = await openScratch();
  const path = join(scratch.file('config'));
  const roles = Object.keys(roleSchemas) as Role[];
  const examples = roles.map((role) => exampleValues(role));
  const text = fc.oneof(
    editedJson(examples).map((values) => JSON.stringify(values, undefined, 2)),
    editedText(examples.map((values) => JSON.stringify(values, undefined, 2))),
  );
  return {
    inputs: fc.record({ role: fc.constantFrom(...roles), text }),
    async take(input) {
      const { role, text: written } = input as { role: Role; text: string };
      await writeFile(path, written, { mode: 0o600 });
      refusing(() => loadConfig(role, { path, isRequired: true, env: {} }));
    },
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

/** Runs what may refuse its input by an `AppError`, the only way in which it may. */
function refusing(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
  }
}

/** Tells whether an HTTP client can put this on the wire at all. */
function isRequest(input: unknown): boolean {
  return HttpInput.safeParse(input).success;
}

/** HTTP clients of many addresses, one after the other. */
function openClients(port: number) {
  let sent = 0;
  let pool: Pool | undefined;
  const next = async (): Promise<Pool> => {
    if (pool && sent++ % REQUESTS_PER_ADDRESS !== 0) return pool;
    await pool?.close();
    const turn = Math.floor(sent / REQUESTS_PER_ADDRESS);
    const localAddress = `127.${1 + (turn >> 16)}.${(turn >> 8) & 255}.${1 + (turn % 250)}`;
    pool = new Pool(`http://127.0.0.1:${port}`, { connections: 1, connect: { localAddress }, bodyTimeout: 10_000 });
    return pool;
  };
  return {
    async send(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<{ status: number; text: string }> {
      try {
        const { statusCode, body } = await (await next()).request(options);
        return { status: statusCode, text: await body.text() };
      } catch (error) {
        if (UNSENT.includes(errorCode(error))) return { status: 0, text: '' };
        throw error;
      }
    },
    close: async () => {
      await pool?.close();
    },
  };
}

/** The admin client against the real admin API: what it sends, what it returns, and its errors. */

import { openAdminClient } from '../../../src/admin/client';
import { adminRoutes } from '../../../src/admin/routes';
import { Address, JobId } from '../../../src/domain/ids';
import { clientBehind } from '../../../src/http/client-address';
import { openHttp } from '../../../src/http/server';
import { AppError } from '../../../src/lib/errors';
import { silentLogger } from '../../../src/lib/logger';
import type { AdminApi, JobDetails, StorageUse } from '../../../src/protocol/admin';

const worker = Address.parse(`0x${'aa'.repeat(20)}`);
const jobId = JobId.parse(`0x${'0b'.repeat(16)}`);
const view = {
  jobId,
  state: 'training',
  chainState: 'PROCESSING',
  requester: worker,
  dataset: 'sha256:a',
  feeWei: '1',
  deadlineMs: 1,
};
const details: JobDetails = {
  ...view,
  rounds: [],
  workers: [],
  history: [{ state: 'queued', atMs: 1 }],
  audits: { drawn: 0, passed: 0, failed: 0 },
  evidenceRequests: [],
};
const status = { address: worker, chainId: 31337, workers: 1, gflops: 5, jobs: [view], checks: [] };
const connected = { address: worker, connected: true, ip: '127.0.0.1', gflops: 5, announcedGflops: 9 };

const stored: StorageUse = {
  ...{ freeBytes: 5e9, minFreeBytes: 1e9 },
  kinds: [
    { kind: 'jobs', bytes: 7 },
    { kind: 'data', blobs: 2, bytes: 100, unfinished: 1 },
  ],
  accounts: [{ account: worker, blobs: 2, bytes: 100, unfinished: 1, allowedBytes: 2 ** 28 }],
};
const master: AdminApi = {
  disconnect: async (address) => (address === worker ? 'disconnected' : 'not exist'),
  allow: async (address) => (address === worker ? 'allowed' : 'not exist'),
  measure: async (address) => (address === worker ? 'measuring' : 'not exist'),
  workers: async () => [connected],
  jobs: async () => [view],
  async job(id) {
    if (id !== jobId) throw new AppError({ code: 'job/not-found', jobId: id }, `No job ${id} is known here.`);
    return details;
  },
  requeue: async () => 'queued',
  status: async () => status,
  storage: async () => stored,
};

/** A client of a real admin API in front of this master. */
async function openPair(served: AdminApi = master, isAllowedIp = () => true) {
  const http = await openHttp(
    { host: '127.0.0.1', port: 0 },
    (app) =>
      app.use(
        '/api/json-rpc',
        adminRoutes({ clientAddress: clientBehind([]), isAllowedIp, origins: [] }, served, silentLogger),
      ),
    { logger: silentLogger },
  );
  return {
    // As in a configuration: with or without a slash at the end.
    admin: openAdminClient(`http://127.0.0.1:${http.port}/`),
    [Symbol.asyncDispose]: () => http[Symbol.asyncDispose](),
  };
}

test('every method: the answer of the master', async () => {
  await using pair = await openPair();
  const { admin } = pair;
  expect(await admin.disconnect(worker)).toBe('disconnected');
  expect(await admin.allow(worker)).toBe('allowed');
  expect(await admin.measure(worker)).toBe('measuring');
  expect(await admin.workers()).toEqual([connected]);
  expect(await admin.jobs()).toEqual([view]);
  expect(await admin.job(jobId)).toEqual(details);
  expect(await admin.status()).toEqual(status);
  expect(await admin.storage()).toEqual(stored);
  expect(await admin.call('job', { jobId })).toEqual(details);
});

test('unknown job: rpc/not-found with the sentence of the master', async () => {
  await using pair = await openPair();
  const other = JobId.parse(`0x${'0c'.repeat(16)}`);
  await expect(pair.admin.job(other)).rejects.toMatchObject({
    code: 'rpc/not-found',
    message: expect.stringContaining(`No job ${other} is known here.`),
  });
});

test('unknown method: rpc/failed', async () => {
  await using pair = await openPair();
  await expect(pair.admin.call('none')).rejects.toMatchObject({ code: 'rpc/failed', detail: { rpcCode: -32601 } });
});

test('address outside the whitelist: rpc/refused', async () => {
  await using pair = await openPair(master, () => false);
  await expect(pair.admin.status()).rejects.toMatchObject({ code: 'rpc/refused' });
});

test('answer of another format: rpc/bad-answer that names the method', async () => {
  const { address: _, ...short } = status;
  await using pair = await openPair({ ...master, status: async () => short as typeof status });
  await expect(pair.admin.status()).rejects.toMatchObject({
    code: 'rpc/bad-answer',
    message: expect.stringContaining('to status'),
  });
  expect(await pair.admin.call('status')).toEqual(short);
});

test('closed port: rpc/unreachable', async () => {
  await expect(openAdminClient('http://127.0.0.1:1').workers()).rejects.toMatchObject({ code: 'rpc/unreachable' });
});

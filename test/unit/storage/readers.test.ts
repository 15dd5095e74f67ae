/** What a storage asks the chain about readers, how often, and what it says while the chain is away. */
import { Readable } from 'node:stream';
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { NO_JOB } from '../../../src/protocol/storage';
import type { JobRecord } from '../../../src/storage/named-blobs';
import { type ReadDeps, Readers } from '../../../src/storage/readers';

const [requester, node, verifier, other] = ['0a', '0b', '0c', '0d'].map((byte) =>
  Address.parse(`0x${byte.repeat(20)}`),
) as [Address, Address, Address, Address];
const jobId = JobId.parse(`0x${'01'.repeat(16)}`);
const data = 'da'.repeat(32) as Sha256;
const taken: JobRecord = {
  state: 'PROCESSING',
  deadlineMs: 1e15,
  requester,
  node,
  dataset: `sha256:${data}`,
  params: '{}',
};

/** Readers over a chain with one job, which counts what it is asked. */
function open(job: JobRecord = taken) {
  const asked: string[] = [];
  const chain = { job, isAway: false, atMs: 0 };
  const ask = async <T>(question: string, answer: () => T): Promise<T> => {
    asked.push(question);
    if (chain.isAway) throw new Error('the chain is away');
    return answer();
  };
  const deps: ReadDeps = {
    blobs: { stat: async () => undefined, openRead: () => Readable.from([]) },
    isHolder: async (_sha256, account) => account === requester,
    recoverRead: ({ reader }, signature) => (signature === '0xgood' ? reader : undefined),
    jobRecord: (name) => ask('job', () => (name === jobId ? chain.job : undefined)),
    isVerifier: (account) => ask('verifier', () => account === verifier),
    isActiveNode: (account) => ask('node', () => account === other || account === node),
    nowMs: () => chain.atMs,
  };
  const readers = new Readers(deps);
  const read = (reader: Address, name: JobId = jobId) =>
    readers.admit({ authorization: `Emeth-Read ${reader} ${name} ${chain.atMs + 1000} 0xgood` }, data).then(
      () => 'served',
      (error: { code: string }) => error.code,
    );
  return { asked, chain, read };
}

test('job that a node has: asked for once a minute, and each verifier once', async () => {
  const { asked, chain, read } = open();
  for (let i = 0; i < 5; i++)
    for (const reader of [requester, node, verifier]) expect(await read(reader)).toBe('served');
  expect(asked).toEqual(['job', 'verifier']);
  chain.atMs += 60_001;
  for (const reader of [node, verifier]) expect(await read(reader)).toBe('served');
  expect(asked).toEqual(['job', 'verifier', 'job', 'verifier']);
});

test('open job: asked for each time, so that a node which lost it reads no longer', async () => {
  const { chain, read } = open({ ...taken, state: 'REQUESTED', node: undefined });
  expect(await read(other)).toBe('served');
  chain.job = taken;
  expect(await read(other)).toBe('storage/not-reader');
});

test('job refused a moment ago: looked at anew, as it may have another state', async () => {
  const { chain, read } = open();
  expect(await read(other)).toBe('storage/not-reader');
  chain.job = { ...taken, node: other };
  expect(await read(other)).toBe('served');
});

test('chain away: passing trouble, but not for what was known a moment ago', async () => {
  const { chain, read } = open();
  expect(await read(node)).toBe('served');
  chain.isAway = true;
  expect(await read(node)).toBe('served');
  expect(await read(verifier)).toBe('storage/no-chain');
  expect(await read(requester, NO_JOB)).toBe('served');
  chain.atMs += 60_001;
  expect(await read(node)).toBe('storage/no-chain');
});

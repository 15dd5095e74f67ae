/**
 * Measures two storages over one S3 bucket against the bare SDK, by a large blob that goes up and back.
 *
 * Ours: the client of the storage API uploads to one storage and downloads from the other. Theirs: the SDK
 * sends the same bytes as a multipart upload, four parts at a time, and writes them to a file again. Both
 * by turns, in the same run, against the same service; reports medians, and the most memory that each
 * storage used.
 *
 *     npm run bench:s3 -- [--mib 512] [--runs 5]
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { BlobStore } from '../../src/blobs/blob-store';
import type { BucketOptions } from '../../src/blobs/bucket';
import type { Sha256 } from '../../src/domain/ids';
import { type BucketStorages, startBucketStorages } from '../../test/support/bucket-storages';
import { OWNER } from '../../test/support/swift';
import { mostMb } from './processes';
import { median, printReport, rowOf } from './report';

const PART_BYTES = 8 * 2 ** 20;
const PARALLEL = 4;
/** What a storage may hold, however large a blob is. */
const MOST_MB = 150;

interface Seconds {
  up: number;
  down: number;
}

interface SentFile {
  path: string;
  sha256: Sha256;
  bytes: number;
}

async function main(mib: number, runs: number): Promise<void> {
  await using all = await startBucketStorages();
  const here = new BlobStore(join(all.dir, 'here'));
  const client = openClient(all.bucket);
  const ours: Seconds[] = [];
  const theirs: Seconds[] = [];
  // What their start took is not counted.
  await Promise.all(all.storages.map(({ role }) => writeFile(`/proc/${role.pid}/clear_refs`, '5')));
  for (let run = 0; run < runs; run += 1) {
    const { sha256, bytes } = await here.addBytes(randomBytes(mib * 2 ** 20));
    const file = { path: here.path(sha256), sha256, bytes };
    const turns = [
      async () => ours.push(await viaStorages(all, here, file)),
      async () => theirs.push(await bySdk(client, all, file)),
    ];
    for (const turn of run % 2 === 0 ? turns : turns.reverse()) await turn();
    await here.remove(sha256);
  }
  client.destroy();
  const mostRssMb = all.storages.map(({ role }) => Math.round(mostMb(role.pid)));
  const rate = (of: Seconds[], way: keyof Seconds) => (mib * 2 ** 20) / 1e6 / median(of.map((one) => one[way]));
  const beside = (name: string, bar: string, way: keyof Seconds) =>
    rowOf({ name: `${name} ÷ bare SDK`, bar, ours: rate(ours, way), theirs: rate(theirs, way), unit: 'MB/s' });
  const most = { ours: Math.max(...mostRssMb), theirs: MOST_MB, unit: 'MB' };
  const rows = [
    beside('upload to a storage over a bucket', '≥ 0.8', 'up'),
    beside('download from a storage over a bucket', '≥ 0.8', 'down'),
    rowOf({ name: `memory of a storage over a bucket ÷ ${MOST_MB} MB`, bar: '≤ 1', ...most }),
  ];
  printReport(rows, { mib, runs, mostRssMb });
}

async function viaStorages({ storages, wallet, sign, pass, dir }: BucketStorages, here: BlobStore, file: SentFile) {
  const [first, second] = storages;
  const up = await time(() => first.remote.upload(file.sha256, here, wallet.address, sign));
  // The account shows the second storage that it has the blob, so that it may read it there: not measured.
  await second.remote.upload(file.sha256, here, wallet.address, sign);
  const there = new BlobStore(join(dir, 'there'));
  const down = await time(() => second.remote.download(file.sha256, there, file.bytes, { pass }));
  await there.remove(file.sha256);
  return { up, down };
}

async function bySdk(client: S3Client, { bucket, dir }: BucketStorages, file: SentFile) {
  const object = { Bucket: bucket.bucket, Key: `bare/${file.sha256}` };
  const up = await time(() => uploadBare(client, object, file));
  const path = join(dir, 'bare');
  const down = await time(async () => {
    const { Body } = await client.send(new GetObjectCommand(object));
    await pipeline(Body as Readable, createWriteStream(path));
  });
  await client.send(new DeleteObjectCommand(object));
  await rm(path);
  return { up, down };
}

async function uploadBare(client: S3Client, object: { Bucket: string; Key: string }, { path, bytes }: SentFile) {
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
  const file = await open(path);
  const count = Math.ceil(bytes / PART_BYTES);
  const parts: { PartNumber: number; ETag: string | undefined }[] = [];
  let next = 0;
  const sendParts = async () => {
    while (next < count) {
      const index = next++;
      const body = Buffer.alloc(Math.min(PART_BYTES, bytes - index * PART_BYTES));
      await file.read(body, 0, body.length, index * PART_BYTES);
      const command = new UploadPartCommand({ ...object, UploadId, PartNumber: index + 1, Body: body });
      parts[index] = { PartNumber: index + 1, ETag: (await client.send(command)).ETag };
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, sendParts));
  await file.close();
  const joined = { ...object, UploadId, MultipartUpload: { Parts: parts } };
  await client.send(new CompleteMultipartUploadCommand(joined));
}

/** The same settings as `bucket.ts` has, so that neither side computes checksums that the other does not. */
function openClient({ endpoint = '', region }: BucketOptions): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: OWNER,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
  });
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1000;
}

const { values } = parseArgs({
  options: { mib: { type: 'string', default: '512' }, runs: { type: 'string', default: '5' } },
});
void main(Number(values.mib), Number(values.runs));

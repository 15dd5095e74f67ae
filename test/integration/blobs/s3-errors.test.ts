/**
 * What a real S3 service refuses, and one that is not there: each told with its remedy, and without
 * secrets.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { type BucketOptions, openBucket } from '../../../src/blobs/bucket';
import { LASTING_S3_ERRORS, toS3Error } from '../../../src/blobs/s3-errors';
import { describeError, errorCode } from '../../../src/lib/errors';
import { freePort } from '../../../src/lib/free-port';
import { OWNER, STRANGER, startSwift, type TestS3 } from '../../support/swift';

let service: TestS3;
let right: BucketOptions;
beforeAll(async () => {
  service = await startSwift();
  right = await service.createBucket();
});
afterAll(() => service[Symbol.asyncDispose]());

async function refusalOf(options: Partial<BucketOptions>): Promise<unknown> {
  using bucket = await openBucket({ ...right, ...options });
  return bucket.check().then(
    () => undefined,
    (error: unknown) => error,
  );
}

test('right settings: no error', async () => {
  expect(await refusalOf({})).toBeUndefined();
});

test.each<[string, string, Partial<BucketOptions>, RegExp]>([
  ['no such bucket', 's3/no-bucket', { bucket: 'absent' }, /has no bucket absent; create it/],
  ['unknown key', 's3/bad-credentials', { credentials: { ...OWNER, accessKeyId: 'test:nobody' } }, /correct s3/],
  ['wrong secret', 's3/bad-credentials', { credentials: { ...OWNER, secretAccessKey: 'hush' } }, /correct s3/],
  ['key without rights', 's3/denied', { credentials: STRANGER }, /allow its key to list the bucket/],
  ['wrong region', 's3/wrong-region', { region: 'eu-west-1' }, /not in region eu-west-1/],
])('%s: %s, for the operator to correct', async (_situation, code, options, remedy) => {
  const error = await refusalOf(options);
  expect(errorCode(error)).toBe(code);
  expect(describeError(error)).toMatch(remedy);
  expect(LASTING_S3_ERRORS).toContain(code);
  expect(JSON.stringify(error) + describeError(error)).not.toMatch(/hush|only-for-tests/);
});

test('nothing listens at the endpoint: s3/unreachable', async () => {
  const error = await refusalOf({ endpoint: `http://127.0.0.1:${await freePort()}` });
  expect(errorCode(error)).toBe('s3/unreachable');
  expect(describeError(error)).toContain('ECONNREFUSED');
});

test('endpoint accepts and stays silent: s3/unreachable, in the time that is set', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  expect(errorCode(await refusalOf({ endpoint: `http://127.0.0.1:${port}`, answerMs: 50 }))).toBe('s3/unreachable');
  silent.close();
});

test.each([
  ['a page', 200, '<!DOCTYPE html><html><body><br>Welcome</body></html>'],
  ['nothing', 200, ''],
])('web server that answers with %s: s3/not-s3', async (_what, status, body) => {
  const web = createHttpServer((_request, response) => response.writeHead(status).end(body)).listen(0, '127.0.0.1');
  await once(web, 'listening');
  const { port } = web.address() as { port: number };
  const error = await refusalOf({ endpoint: `http://127.0.0.1:${port}` });
  expect(errorCode(error)).toBe('s3/not-s3');
  web.close();
});

test('clock an hour wrong: s3/clock', async () => {
  const { region, forcePathStyle } = right;
  const options = { endpoint: service.endpoint, region, forcePathStyle, credentials: OWNER, maxAttempts: 1 };
  const client = new S3Client({ ...options, systemClockOffset: 3600_000 });
  const error = await client
    .send(new ListObjectsV2Command({ Bucket: right.bucket }))
    .catch((thrown: unknown) => thrown);
  client.destroy();
  expect(errorCode(toS3Error(error, right))).toBe('s3/clock');
});

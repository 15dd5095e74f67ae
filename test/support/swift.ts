/** A throw-away S3 service for tests: OpenStack Swift with its S3 API, from the distribution. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { BucketOptions } from '../../src/blobs/bucket';
import { freePort } from '../../src/lib/free-port';
import { fastDir } from './scratch';
import { startProgram } from './server-programs';
import { until } from './until';

/** A throw-away S3 service on loopback. */
export interface TestS3 extends AsyncDisposable {
  readonly endpoint: string;
  /** Creates an empty bucket. */
  createBucket(): Promise<BucketOptions>;
}

/** Where Debian and Ubuntu install python3-swift, for their own Python. */
const SWIFT = '/usr/lib/python3/dist-packages/swift/common/middleware/s3api/s3api.py';
const PYTHON = '/usr/bin/python3';
// As in `bucket.ts`.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
export const OWNER = { accessKeyId: 'test:owner', secretAccessKey: 'only-for-tests' };
/** An account that may do nothing. */
export const STRANGER = { accessKeyId: 'test:stranger', secretAccessKey: 'only-for-tests' };

/** Returns a Python that has Swift; undefined when there is none. */
export function findSwift(): string | undefined {
  return [SWIFT, PYTHON].every((path) => existsSync(path)) ? PYTHON : undefined;
}

/** Starts a service without buckets. */
export async function startSwift(): Promise<TestS3> {
  const python = findSwift();
  if (!python) throw new Error('No Swift was found; run: npx ts-node scripts/test-servers.ts');
  const dir = await mkdtemp(join(placeWithAttributes(), 'emeth-swift-'));
  const port = await freePort();
  const server = startProgram(python, ['-B', join(__dirname, 'serve_swift.py'), dir, String(port)], dir);
  const endpoint = `http://127.0.0.1:${port}`;
  try {
    await until(() =>
      fetch(endpoint).then(
        () => true,
        () => false,
      ),
    );
  } catch (cause) {
    const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '');
    await server[Symbol.asyncDispose]();
    throw new Error(`Swift did not start; its log ends: ${log.slice(-1000)}`, { cause });
  }
  let buckets = 0;
  return {
    endpoint,
    async createBucket() {
      buckets += 1;
      const options = { endpoint, region: 'us-east-1', bucket: `bucket-${buckets}`, forcePathStyle: true };
      const client = new S3Client({ ...options, credentials: OWNER });
      await client.send(new CreateBucketCommand({ Bucket: options.bucket }));
      client.destroy();
      return { ...options, credentials: OWNER };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Swift keeps metadata in extended attributes, which a directory in memory has only since Linux 6.6. */
function placeWithAttributes(): string {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 6 || (major === 6 && minor >= 6) ? fastDir() : tmpdir();
}

/**
 * To be imported before tests of the storage API: has them run with blobs in buckets of a real S3 service.
 */
import { openBucket } from '../../src/blobs/bucket';
import { S3Blobs } from '../../src/blobs/s3-blobs';
import type { Sha256 } from '../../src/domain/ids';
import { sha256 } from '../../src/lib/hash';
import { backEnd } from './storage';
import { startSwift, type TestS3 } from './swift';

let service: TestS3;
beforeAll(async () => {
  service = await startSwift();
});
afterAll(() => service[Symbol.asyncDispose]());

Object.assign(backEnd, {
  isBucket: true,
  async open() {
    const blobs = new S3Blobs(await openBucket(await service.createBucket()));
    return Object.assign(blobs, {
      async addBytes(bytes: Uint8Array) {
        const name = sha256(bytes) as Sha256;
        const part = await blobs.openPart(name);
        await part.append(bytes);
        await part.finish();
        return { sha256: name, bytes: bytes.length };
      },
    });
  },
} satisfies typeof backEnd);

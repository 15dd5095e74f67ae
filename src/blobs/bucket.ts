/** A bucket of an S3 service: the few calls that blobs need, and the only place that knows the SDK. */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import type { ListMultipartUploadsCommandOutput, S3Client, S3ClientConfig } from '@aws-sdk/client-s3';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { freeBuffer } from '../lib/free-buffer';
import { proxyFor } from '../lib/proxy';
import { errorName, toS3Error } from './s3-errors';

export interface BucketOptions {
  /** Address of the service; Amazon's own of the region by default. */
  endpoint?: string | undefined;
  region: string;
  bucket: string;
  /** Whether the bucket is named in the path of a request, rather than in its host. */
  forcePathStyle: boolean;
  /** By default those that the SDK finds: in the environment, in its files, or of the machine's role. */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined;
  /** How long a request may take up to the headers of its answer. */
  answerMs?: number | undefined;
}

/** A multipart upload that was neither completed nor aborted. */
export interface OpenUpload {
  key: string;
  uploadId: string;
  startedMs: number;
}

export interface FoundObject {
  key: string;
  bytes: number;
  changedMs: number;
}

interface UploadMarker {
  KeyMarker?: string;
  UploadIdMarker?: string;
}

/** Names of errors that say that what is asked for does not exist. */
const ABSENT = ['NotFound', 'NoSuchKey', 'NoSuchUpload'];
const CONNECT_MS = 5_000;
/** For all of a request up to the headers of its answer: 8 MiB over a slow line, and S3's own work. */
const ANSWER_MS = 60_000;
/** Without a byte in either direction. A slow reader of a blob also holds its connection up. */
const SILENCE_MS = 60_000;
/** For joining the parts of an upload, which takes minutes where they are many. */
const COMPLETE_MS = 600_000;
const ATTEMPTS = 4;
const MAX_SOCKETS = 128;
/** Of a blob that is read, so that S3 goes on while the reader takes what there is. */
const READ_AHEAD_BYTES = 2 ** 20;

/** Opens a bucket without asking for it; see `check`. */
export async function openBucket(options: BucketOptions): Promise<Bucket> {
  // The version of the SDK is pinned; that its later ones need a newer Node is nothing an operator can act
  // on.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const sdk = await import('@aws-sdk/client-s3');
  return new Bucket(sdk, new sdk.S3Client(clientConfig(options)), options);
}

/** Calls on one bucket. Each is retried by the SDK, ends in time, and throws `s3/…`. */
export class Bucket implements Disposable {
  constructor(
    private readonly sdk: typeof import('@aws-sdk/client-s3'),
    private readonly client: S3Client,
    private readonly options: BucketOptions,
  ) {}

  private get place(): { Bucket: string } {
    return { Bucket: this.options.bucket };
  }

  /** Throws unless the bucket exists and may be listed. */
  async check(): Promise<void> {
    const command = new this.sdk.ListObjectsV2Command({ ...this.place, MaxKeys: 1 });
    const { Name } = await this.call(() => this.client.send(command));
    // A web server answers anything with its page.
    if (Name === undefined) throw toS3Error({ name: 'NotS3' }, this.options);
  }

  async size(key: string): Promise<number | undefined> {
    const found = await this.find(() => this.client.send(new this.sdk.HeadObjectCommand({ ...this.place, Key: key })));
    return found && (found.ContentLength ?? 0);
  }

  /** Reads an object, or a range of it as in a Range header; undefined when there is none. */
  async read(key: string, range?: string): Promise<Readable | undefined> {
    const input = { ...this.place, Key: key, ...(range === undefined ? {} : { Range: range }) };
    const found = await this.find(() => this.client.send(new this.sdk.GetObjectCommand(input)));
    return found?.Body as Readable | undefined;
  }

  /** Reads a small object. */
  async readAll(key: string): Promise<Buffer | undefined> {
    const body = await this.read(key);
    return body && this.call(async () => Buffer.concat(await body.toArray()));
  }

  async write(key: string, bytes: Uint8Array): Promise<void> {
    await this.call(() => this.client.send(new this.sdk.PutObjectCommand({ ...this.place, Key: key, Body: bytes })));
  }

  /** Removes an object, if there is one. */
  async remove(key: string): Promise<void> {
    await this.find(() => this.client.send(new this.sdk.DeleteObjectCommand({ ...this.place, Key: key })));
  }

  async startUpload(key: string): Promise<string> {
    const command = new this.sdk.CreateMultipartUploadCommand({ ...this.place, Key: key });
    const { UploadId } = await this.call(() => this.client.send(command));
    return UploadId ?? '';
  }

  /** Sends one part of an upload, and returns its tag. Parts are numbered from 1. */
  async writePart(key: string, uploadId: string, number: number, bytes: Uint8Array): Promise<string> {
    const input = { ...this.place, Key: key, UploadId: uploadId, PartNumber: number, Body: bytes };
    const { ETag } = await this.call(() => this.client.send(new this.sdk.UploadPartCommand(input)));
    return ETag ?? '';
  }

  /**
   * Makes an object of an upload's parts, by their tags. Throws `s3/upload-lost` when one is not as it was.
   */
  async completeUpload(key: string, uploadId: string, tags: readonly string[]): Promise<void> {
    const Parts = tags.map((ETag, index) => ({ PartNumber: index + 1, ETag }));
    const input = { ...this.place, Key: key, UploadId: uploadId, MultipartUpload: { Parts } };
    const command = new this.sdk.CompleteMultipartUploadCommand(input);
    await this.call(() => this.client.send(command, { requestTimeout: COMPLETE_MS }));
  }

  /** Drops an upload and its parts, if it is there. */
  async abortUpload(key: string, uploadId: string): Promise<void> {
    const input = { ...this.place, Key: key, UploadId: uploadId };
    await this.find(() => this.client.send(new this.sdk.AbortMultipartUploadCommand(input)));
  }

  async *openUploads(prefix: string): AsyncGenerator<OpenUpload> {
    for (let from: UploadMarker | undefined = {}; from; ) {
      const page = await this.uploadsPage(prefix, from);
      for (const { Key: key, UploadId: uploadId, Initiated } of page.Uploads ?? []) {
        if (key && uploadId) yield { key, uploadId, startedMs: Initiated?.getTime() ?? 0 };
      }
      const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
      from = IsTruncated && KeyMarker && UploadIdMarker ? { KeyMarker, UploadIdMarker } : undefined;
    }
  }

  async *list(prefix: string): AsyncGenerator<FoundObject> {
    const pages = this.sdk.paginateListObjectsV2({ client: this.client }, { ...this.place, Prefix: prefix });
    for (;;) {
      const page = await this.call(() => pages.next());
      if (page.done) return;
      for (const { Key: key, Size: bytes = 0, LastModified } of page.value.Contents ?? []) {
        if (key) yield { key, bytes, changedMs: LastModified?.getTime() ?? 0 };
      }
    }
  }

  [Symbol.dispose](): void {
    this.client.destroy();
  }

  private uploadsPage(prefix: string, from: UploadMarker): Promise<ListMultipartUploadsCommandOutput> {
    const command = new this.sdk.ListMultipartUploadsCommand({ ...this.place, Prefix: prefix, ...from });
    return this.call(() => this.client.send(command));
  }

  private async call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toS3Error(error, this.options);
    }
  }

  /** Like `call`, but undefined for what does not exist. */
  private find<T>(work: () => Promise<T>): Promise<T | undefined> {
    const orAbsent = (error: unknown) => {
      if (ABSENT.includes(errorName(error))) return undefined;
      throw error;
    };
    return this.call(() => work().catch(orAbsent));
  }
}

function clientConfig({ endpoint, region, forcePathStyle, credentials, answerMs }: BucketOptions): S3ClientConfig {
  const proxy = proxyFor(endpoint ?? `https://s3.${region}.amazonaws.com`);
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS, readableHighWaterMark: READ_AHEAD_BYTES };
  return {
    region,
    forcePathStyle,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials ? { credentials } : {}),
    maxAttempts: ATTEMPTS,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: answerMs ?? ANSWER_MS,
      throwOnRequestTimeout: true,
      socketTimeout: SILENCE_MS,
      httpAgent: freeing(new HttpAgent(agent)),
      httpsAgent: proxy === undefined ? freeing(new HttpsAgent(agent)) : new HttpsProxyAgent(proxy, agent),
    },
    // By default the SDK adds checksums in trailers, which many services other than Amazon's refuse. The
    // sha256 of each request's bytes is signed anyway, and whoever fetches a blob checks its hash.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Waiting for "100 Continue" takes a connection of its own for each part.
    expectContinueHeader: false,
  };
}

/**
 * Has an agent's sockets give back the memory of what they read: Node copies the body of an answer out of it.
 */
function freeing<T extends HttpAgent>(agent: T): T {
  const { createConnection } = agent;
  agent.createConnection = (...options) => {
    const socket = createConnection.apply(agent, options);
    // After all that listen have had it.
    socket?.on('data', (read: Uint8Array) => queueMicrotask(() => freeBuffer(read)));
    return socket;
  };
  return agent;
}

/** Blobs out: whole or a range. */
import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { AppError } from '../lib/errors';
import { freeBuffer } from '../lib/free-buffer';
import type { StorageDeps } from './deps';
import { parseName, type StorageError } from './errors';
import type { Readers } from './readers';

/** Answers HEAD to everybody, and GET to those who may read the blob, for all of it or one range. */
export async function sendBlob(
  { blobs, readers }: Pick<StorageDeps, 'blobs'> & { readers: Pick<Readers, 'admit'> },
  request: Request,
  response: Response,
): Promise<void> {
  const sha256 = parseName(request.params['sha256']);
  const question = { authorization: request.get('authorization'), job: request.query['job'] };
  const isForAll = request.method !== 'HEAD' && (await readers.admit(question, sha256)).isForAll;
  const found = await blobs.stat(sha256);
  if (!found) throw unknownBlob(sha256);
  response.set({
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'cache-control': `${isForAll ? 'public' : 'private'}, max-age=31536000, immutable`,
    vary: 'authorization',
    etag: `"${sha256}"`,
  });
  if (request.fresh) return void response.status(304).end();
  const range = askedRange(request, found.bytes);
  if (!range) return void response.status(416).set('content-range', `bytes */${found.bytes}`).end();
  const bytes = range.end - range.start + 1;
  response.set('content-length', String(bytes));
  if (bytes < found.bytes) {
    response.status(206).set('content-range', `bytes ${range.start}-${range.end}/${found.bytes}`);
  }
  if (request.method === 'HEAD') return void response.end();
  await sendStream(await blobs.openRead(sha256, range.start, bytes), response);
}

/** Returns the first range asked for, or the whole blob; undefined when it has none of these bytes. */
function askedRange(request: Request, bytes: number): { start: number; end: number } | undefined {
  const whole = { start: 0, end: bytes - 1 };
  const ranges = request.range(bytes);
  if (ranges === undefined || ranges === -2) return whole;
  return ranges === -1 ? undefined : ranges[0];
}

async function sendStream(stream: Readable, response: Response): Promise<void> {
  try {
    await pipeline(stream, bodyOf(response));
  } catch (error) {
    // A client that disconnected needs no answer.
    if (!response.destroyed || !response.headersSent) throw error;
  }
}

/** Takes the body of a response, and gives the memory of each piece back once it is sent. */
function bodyOf(response: Response): Writable {
  const body = new Writable({
    write(piece: Uint8Array, _encoding, done) {
      if (response.destroyed) return done(new Error('The reader disconnected'));
      response.write(piece, (error) => {
        if (!error) freeBuffer(piece);
        done(error);
      });
    },
    final: (done) => void response.end(done),
  });
  response.once('close', () => body.destroy());
  return body;
}

function unknownBlob(sha256: string): AppError<StorageError> {
  return new AppError({ code: 'storage/unknown-blob', status: 404, sha256 }, `No blob ${sha256} is stored here.`);
}

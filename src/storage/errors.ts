/** What can be wrong with a request to the storage API, and how its parts are read. */
import type { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { AppError } from '../lib/errors';

export type StorageError =
  | { code: 'storage/bad-name'; status: 400; name: string }
  | { code: 'storage/bad-request'; status: 400; problem: string }
  | { code: 'storage/unknown-blob'; status: 404; sha256: string }
  | { code: 'storage/unauthorised'; status: 401; reason: string }
  | { code: 'storage/not-reader'; status: 403; reader: string }
  | { code: 'storage/wrong-proof'; status: 403; owner: string }
  | { code: 'storage/proof-needed'; status: 428; sha256: string }
  | { code: 'storage/no-chain'; status: 503 }
  | { code: 'storage/too-large'; status: 413; bytes: number; maxBytes: number }
  | { code: 'storage/bad-length'; status: 400; length: string }
  | { code: 'storage/wrong-offset'; status: 409; offset: number }
  | { code: 'storage/busy'; status: 423; sha256: string }
  | { code: 'storage/too-slow'; status: 408; sha256: string }
  | { code: 'storage/disk-full'; status: 507; sha256: string }
  | { code: 'storage/hash-mismatch'; status: 422; sha256: string };

/** Returns the blob that a path's parameter names. Throws `storage/bad-name`. */
export function parseName(param: unknown): Sha256 {
  const name = String(param);
  const parsed = Sha256.safeParse(name);
  if (parsed.success) return parsed.data;
  throw new AppError<StorageError>(
    { code: 'storage/bad-name', status: 400, name },
    'A blob is named by 64 lower-case hex digits.',
  );
}

export function tooLargeToStore(bytes: number, maxBytes: number): AppError<StorageError> {
  return new AppError(
    { code: 'storage/too-large', status: 413, bytes, maxBytes },
    `The upload has ${bytes} bytes; the limit of this storage is ${maxBytes}.`,
  );
}

/** Returns the body of a request. Throws `storage/bad-request`, which names what is wrong. */
export function parseBody<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const problem = `${issue?.path.join('.') || 'the body'}: ${issue?.message}`;
  throw new AppError<StorageError>(
    { code: 'storage/bad-request', status: 400, problem },
    `The request cannot be read (${problem}).`,
  );
}

/** How messages name a blob: by its hash, with the size its receiver has to expect. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { MAX_BLOB_BYTES } from '../domain/lease-bounds';

export const BlobRef = z.strictObject({ sha256: Sha256, bytes: z.int().min(0).max(MAX_BLOB_BYTES) });
export type BlobRef = z.infer<typeof BlobRef>;

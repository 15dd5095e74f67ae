/** How messages name a blob: by its hash, with the size its receiver has to expect. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';

export const BlobRef = z.strictObject({ sha256: Sha256, bytes: z.int().min(0) });
export type BlobRef = z.infer<typeof BlobRef>;

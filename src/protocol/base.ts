/** The base that a job starts from, as plans, the link and manifests name it. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';

/** What the files of a base tell about its size; see `domain/model-size.ts`. */
const Size = z.strictObject({
  parameters: z.int().min(1),
  trainable: z.int().min(1),
  baseBytes: z.int().min(1),
  layers: z.int().min(1),
  width: z.int().min(1),
  hidden: z.int().min(1),
});

/** A base with everything settled: the files are those of the list, whatever its reference comes to later. */
export const BaseRecord = z.strictObject({
  reference: z.string().max(1000),
  list: Sha256.describe('sha256 of its file list'),
  commit: z.string().max(64).optional().describe('the revision of the hub that its reference came to'),
  size: Size,
});
export type BaseRecord = z.infer<typeof BaseRecord>;

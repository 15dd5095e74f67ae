/** The list of a directory's files: a blob whose hash names all of them, as base models are named. */
import { z } from 'zod';
import { Sha256 } from '../domain/ids';
import { MAX_BLOB_BYTES } from '../domain/lease-bounds';

/** The weights of the largest public models lie in some two hundred files. */
export const MAX_LISTED_FILES = 512;
/** A longer blob is no list. */
export const MAX_FILE_LIST_BYTES = 2 ** 17;

/** A plain name, without folders: such a file lies where it is put on every system. */
const FileName = z
  .string()
  .regex(/^(?!\.)[A-Za-z0-9_.-]{1,120}$/, 'must be a plain name of letters, digits, dots, _ and -');

/** Canonical JSON, sorted by name; names that differ in case alone are one file on some systems. */
export const FileList = z
  .strictObject({
    format: z.literal('emeth-directory-1'),
    files: z
      .array(z.strictObject({ name: FileName, sha256: Sha256, bytes: z.int().min(1).max(MAX_BLOB_BYTES) }))
      .min(1)
      .max(MAX_LISTED_FILES),
  })
  .refine(({ files }) => files.every(({ name }, i) => i === 0 || (files[i - 1]?.name ?? '') < name), {
    path: ['files'],
    error: 'must be sorted by name, each name once',
  })
  .refine(({ files }) => new Set(files.map(({ name }) => name.toLowerCase())).size === files.length, {
    path: ['files'],
    error: 'must not have names that differ in case alone',
  });
export type FileList = z.infer<typeof FileList>;
export type ListedFile = FileList['files'][number];

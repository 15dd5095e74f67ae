/** `emeth put`: uploads a base model's directory, or one file, and prints the reference that names it. */
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { openAccount } from '../../app/account';
import { namedLocations, placesOf, requireStorages } from '../../app/places';
import { type PutBlob, type PutResult, putBlobs } from '../../app/put-blobs';
import { flawError } from '../../blobs/base-errors';
import { type BaseFacts, readBaseFacts } from '../../blobs/base-facts';
import { readerOfFiles } from '../../blobs/base-reader';
import { listOf } from '../../blobs/base-source';
import { printBlobReference } from '../../domain/blob-reference';
import type { Sha256 } from '../../domain/ids';
import { formatBytes } from '../../lib/format-bytes';
import { sha256File } from '../../lib/hash';
import { type GivenFile, readBaseDirectory, readGivenFile } from '../../terminal/base-directory';
import { unreadableFile } from '../../terminal/files';
import type { CommonOptions } from '../../terminal/options';
import { openProgress, printJson, printLines, talk } from '../../terminal/print';

interface PutOptions extends CommonOptions {
  storage?: string | undefined;
}

/** What is uploaded under one reference. */
interface Parcel {
  readonly blobs: readonly PutBlob[];
  readonly sha256: Sha256;
  readonly bytes: number;
  readonly facts?: BaseFacts | undefined;
  readonly skipped?: readonly string[] | undefined;
}

/** Whatever nodes would refuse is refused before anything is uploaded. */
export async function putFiles(path: string, options: PutOptions): Promise<void> {
  const given = await stat(path).catch((cause) => {
    throw unreadableFile('put', path, cause);
  });
  await using account = await openAccount(options);
  const { storages } = placesOf(account.config, options);
  requireStorages({ storages });
  const parcel = given.isDirectory() ? await packBase(path) : await packFile(path);
  if (!options.json) for (const line of describe(parcel)) talk(line);
  const put = await putBlobs(parcel.blobs, storages, account);
  const reference = printBlobReference(parcel.sha256, namedLocations(account.config, put.storages));
  if (options.json) return printJson(inJson(reference, parcel, put));
  talkOfUse(parcel, put);
  printLines(reference);
}

async function packBase(dir: string): Promise<Parcel> {
  const { files, skipped, flaw } = await readBaseDirectory(dir);
  if (flaw) throw flawError(flaw, dir);
  const facts = await readBaseFacts(readerOfFiles(dir, files));
  const blobs: PutBlob[] = [];
  for (const file of files) blobs.push(await hashed(file));
  const { sha256, text } = listOf(blobs.map(({ name, sha256: blob, bytes }) => ({ name, sha256: blob, bytes })));
  // Whoever has the list can have the files: so it comes last.
  const list = { name: 'list of files', sha256, bytes: Buffer.byteLength(text), text };
  return { blobs: [...blobs, list], sha256, bytes: facts.baseBytes, facts, skipped };
}

async function packFile(path: string): Promise<Parcel> {
  const dir = dirname(resolve(path));
  const blob = await hashed(await readGivenFile(dir, basename(path)));
  return { blobs: [blob], sha256: blob.sha256, bytes: blob.bytes };
}

async function hashed(file: GivenFile): Promise<PutBlob & GivenFile> {
  const progress = openProgress(`hash ${file.name}`);
  try {
    const sha256 = await sha256File(file.path, (done) => progress.update(done, file.bytes));
    return { ...file, sha256: sha256 as Sha256 };
  } finally {
    progress.end();
  }
}

function describe({ bytes, facts, skipped = [] }: Parcel): string[] {
  const lines = facts ? describeBase(facts) : [`file       ${formatBytes(bytes)}`];
  if (skipped.length > 0)
    lines.push(`left out   ${skipped.slice(0, 10).join(', ')}${skipped.length > 10 ? ', …' : ''}`);
  return lines;
}

/** Describes a base for people. */
export function describeBase(facts: BaseFacts): string[] {
  const { architecture, parameters, dtypes, layers, width, vocabSize, context, baseBytes, licence } = facts;
  const shape = `${layers} layers of ${width}, vocabulary ${vocabSize}, context ${context}`;
  const template = facts.hasChatTemplate ? 'with a chat template' : 'without a chat template';
  return [
    `base       ${architecture}, ${parameters.toLocaleString('en-US')} parameters in ${dtypes.join(' and ')}, ${formatBytes(baseBytes)}`,
    `shape      ${shape}; ${template}`,
    `licence    ${licence ?? 'its README names none'}`,
  ];
}

function talkOfUse({ blobs, facts }: Parcel, { sent }: PutResult): void {
  const there = blobs.filter(({ sha256 }) => !sent.has(sha256)).length;
  if (there > 0) talk(`${there} of ${blobs.length} were there already.`);
  talk(
    facts
      ? 'To start a job from it: --params \'{"tune": "lora", "base": "<reference>"}\''
      : 'To train on it: --dataset <reference>',
  );
}

function inJson(reference: string, { blobs, bytes, facts, skipped }: Parcel, { sent, storages }: PutResult) {
  const { tensors: _, ...base } = facts ?? { tensors: [] };
  const files = blobs.map(({ name, sha256, bytes: size }) => ({ name, sha256, bytes: size, sent: sent.has(sha256) }));
  return { reference, bytes, storages, files, ...(facts ? { base, skipped } : {}) };
}

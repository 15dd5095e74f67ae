/** Fetches the files of a trained model, all or none, and puts them where other programs look for them. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseFileList } from '../../blobs/base-dir';
import { parseBaseReference } from '../../domain/base-reference';
import { AppError } from '../../lib/errors';
import { sha256File } from '../../lib/hash';
import type { Manifest } from '../../protocol/manifest';

export type FetchError = { code: 'files/exists'; path: string } | { code: 'usage/other-base'; path: string };

/** What fetching a model needs of a storage. */
export interface ModelSource {
  /** Writes a checked blob to a file. */
  fetchTo(sha256: string, path: string, label: string): Promise<void>;
}

type ModelManifest = Pick<Manifest, 'model' | 'params' | 'base'>;

const ADAPTER = ['adapter_config.json', 'adapter_model.safetensors'];
const CONFIG = 'adapter_config.json';

/**
 * Fetches a manifest's model into a new directory, which appears only once every file is there and checked.
 * An adapter beside the model it was merged into lies in a folder of its own: there transformers would add it
 * a second time. The base of an adapter that no hub has is put beside it, unless `ownBase` is its directory.
 * Throws `files/exists` before it fetches anything, and `usage/other-base`.
 */
export async function fetchModel(
  manifest: ModelManifest,
  directory: string,
  source: ModelSource,
  ownBase?: string,
): Promise<void> {
  if (existsSync(directory)) {
    throw new AppError<FetchError>(
      { code: 'files/exists', path: directory },
      `${directory} exists already and is left as it is; name another directory with --out.`,
    );
  }
  const arriving = `${directory}.part`;
  await mkdir(arriving, { recursive: true });
  try {
    for (const { name, sha256 } of manifest.model) {
      const path = join(arriving, placeOf(name, manifest));
      await mkdir(dirname(path), { recursive: true });
      await source.fetchTo(sha256, path, name);
    }
    if (needsBase(manifest)) await addBase(manifest.base, { arriving, directory, ownBase }, source);
    await rename(arriving, directory);
  } finally {
    await rm(arriving, { recursive: true, force: true });
  }
}

function placeOf(name: string, { params }: ModelManifest): string {
  const isBeside = params.tune === 'lora' && params.lora.merge && ADAPTER.includes(name);
  return isBeside ? join('adapter', name) : name;
}

type WithBase = ModelManifest & { base: NonNullable<ModelManifest['base']> };

/** What a hub has, peft finds by its name; a merged model needs no base. */
function needsBase(manifest: ModelManifest): manifest is WithBase {
  const { params, base } = manifest;
  return params.tune === 'lora' && !params.lora.merge && parseBaseReference(base?.reference ?? '')?.kind === 'list';
}

async function addBase(
  { list }: WithBase['base'],
  { arriving, directory, ownBase }: { arriving: string; directory: string; ownBase: string | undefined },
  source: ModelSource,
): Promise<void> {
  const listPath = join(arriving, 'base.list');
  await source.fetchTo(list, listPath, 'list of the base');
  const { files } = parseFileList(list, await readFile(listPath, 'utf8'));
  await rm(listPath);
  if (ownBase === undefined) {
    await mkdir(join(arriving, 'base'));
    for (const { name, sha256 } of files) await source.fetchTo(sha256, join(arriving, 'base', name), `base: ${name}`);
  } else {
    for (const { name, sha256 } of files) await requireFile(join(ownBase, name), sha256);
  }
  // As exported it names the base by its hash, which is no place that peft could open.
  const config = JSON.parse(await readFile(join(arriving, CONFIG), 'utf8')) as object;
  const place = resolve(ownBase ?? join(directory, 'base'));
  await writeFile(
    join(arriving, CONFIG),
    `${JSON.stringify({ ...config, base_model_name_or_path: place }, null, 2)}\n`,
  );
}

async function requireFile(path: string, sha256: string): Promise<void> {
  if ((await sha256File(path).catch(() => undefined)) === sha256) return;
  throw new AppError<FetchError>(
    { code: 'usage/other-base', path },
    `${path} is not the file of the base that the job was trained from; leave out --base, and it is fetched.`,
  );
}

/** Where the parts of a model lie: its directory and, of an adapter, that of its base. */
import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../lib/errors';
import { parseJson } from '../../lib/parse-json';

export type ModelError =
  | { code: 'usage/no-model'; dir: string }
  | { code: 'usage/no-base'; dir: string; base: string }
  | { code: 'usage/needless-base'; dir: string };

/** Absolute directories. */
export interface ModelPlace {
  directory: string;
  /** Of an adapter alone. */
  base?: string | undefined;
}

const CONFIG = 'adapter_config.json';
const AdapterConfig = z.looseObject({
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
});

/**
 * Returns the places of a model. The base of an adapter is the directory named, else `base` inside the
 * adapter's, else what its configuration records: a directory, or a repository that the hub's cache has.
 * Throws a `ModelError`.
 */
export async function findModel(dir: string, namedBase?: string): Promise<ModelPlace> {
  const directory = resolve(dir);
  if (!(await isDirectory(directory))) throw noModel(dir, `There is no directory ${dir}`);
  const isWhole = (await readText(join(directory, 'config.json'))) !== undefined;
  const adapter = isWhole ? undefined : await readAdapter(directory);
  if (!isWhole && !adapter) throw noModel(dir, `${dir} holds no model: neither config.json nor ${CONFIG}`);
  if (!adapter) {
    if (namedBase === undefined) return { directory };
    const detail = { code: 'usage/needless-base' as const, dir };
    throw new AppError<ModelError>(detail, `${dir} holds a whole model, not an adapter; leave out --base.`);
  }
  const { base_model_name_or_path: recorded, revision } = adapter;
  const places = [namedBase ?? join(directory, 'base'), ...(namedBase ? [] : cachedPlaces(recorded ?? '', revision))];
  for (const place of places) if (await isDirectory(place)) return { directory, base: resolve(place) };
  const base = namedBase ?? recorded ?? 'not recorded';
  throw new AppError<ModelError>(
    { code: 'usage/no-base', dir, base },
    `${dir} holds an adapter, and its base (${base}) is not on this machine; name its directory with --base, or fetch it: ${howToFetch(base, revision)}.`,
  );
}

function noModel(dir: string, what: string): AppError<ModelError> {
  return new AppError({ code: 'usage/no-model', dir }, `${what}; name the one that \`emeth result --out\` wrote.`);
}

function howToFetch(base: string, revision: string | null | undefined): string {
  if (base.startsWith('sha256:')) return '`emeth result <id> --out <dir>` puts it beside the adapter';
  return `\`hf download ${base}${revision ? ` --revision ${revision}` : ''}\``;
}

/** Where the hub's own programs keep a repository, and the directory that has just this name. */
function cachedPlaces(recorded: string, revision: string | null | undefined): string[] {
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  const cache =
    HF_HUB_CACHE ?? join(HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface'), 'hub');
  const repository = join(cache, `models--${recorded.replaceAll('/', '--')}`, 'snapshots');
  return [...(recorded === '' ? [] : [resolve(recorded)]), ...(revision ? [join(repository, revision)] : [])];
}

async function readAdapter(directory: string): Promise<z.infer<typeof AdapterConfig> | undefined> {
  const text = await readText(join(directory, CONFIG));
  return text === undefined ? undefined : AdapterConfig.safeParse(parseJson(text)).data;
}

function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

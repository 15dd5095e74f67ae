/** The parameters of a request, put together from a preset, `--params`, `--base` and `--tune`. */

import { type PresetName, presetNames, presets } from '../../domain/presets';
import { AppError } from '../../lib/errors';

export interface ParamsOptions {
  preset?: PresetName | undefined;
  base?: string | undefined;
  tune?: 'full' | 'lora' | undefined;
}

export type ParamsOptionsError =
  | { code: 'usage/said-twice'; option: string }
  | { code: 'usage/no-base'; preset: string }
  | { code: 'usage/base-unused'; preset: string };

type Values = Readonly<Record<string, unknown>>;

/**
 * Returns what a request asks for: the preset, with what `given` says instead, and the options. Throws for
 * something that is said twice and differs, and for a preset without the base that it needs.
 */
export function composeParams(given: Values, { preset, base, tune }: ParamsOptions): Record<string, unknown> {
  for (const [option, value] of Object.entries({ base, tune })) {
    if (value === undefined || given[option] === undefined || given[option] === value) continue;
    throw new AppError<ParamsOptionsError>(
      { code: 'usage/said-twice', option },
      `--${option} is ${value}, and --params says ${JSON.stringify(given[option])}; leave one of them out.`,
    );
  }
  const named = { ...given, ...(base === undefined ? {} : { base }), ...(tune === undefined ? {} : { tune }) };
  if (preset === undefined) return named;
  requireFitting(preset, named);
  return merge(presets[preset].params, named);
}

function requireFitting(preset: PresetName, { base }: { base?: unknown }): void {
  const { needsBase } = presets[preset];
  if (needsBase && base === undefined) {
    throw new AppError<ParamsOptionsError>(
      { code: 'usage/no-base', preset },
      `--preset ${preset} starts from a model: name it with --base hf:<organisation>/<name>, or one of yours as \`emeth put\` prints it.`,
    );
  }
  if (needsBase || base === undefined) return;
  const others = presetNames.filter((name) => presets[name].needsBase).join(', ');
  throw new AppError<ParamsOptionsError>(
    { code: 'usage/base-unused', preset },
    `--preset ${preset} trains a model from scratch; leave --base out, or take ${others}.`,
  );
}

/** Groups of the same type are merged key by key; everything else of `over` replaces what was there. */
function merge(under: Values, over: Values): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    const isSame = isGroup(before) && isGroup(value) && (value['type'] ?? before['type']) === before['type'];
    merged[key] = isSame ? merge(before, value) : value;
  }
  return merged;
}

function isGroup(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

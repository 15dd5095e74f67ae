/** What of a base is trained, and how large that is, from the names and shapes of its tensors alone. */
import { AppError } from '../lib/errors';
import { type BaseSize, keptByMlp } from './model-size';

export type TargetsError = { code: 'base/targets'; target: string };

/** What is known of a base from its configuration and the heads of its files. */
export interface BaseShape {
  parameters: number;
  baseBytes: number;
  layers: number;
  width: number;
  tensors: readonly { name: string; shape: readonly number[] }[];
}

/** How a job tunes its base. */
export type Tuning = { tune: 'full' } | { tune: 'lora'; lora: { r: number; targets: 'auto' | readonly string[] } };

/** Tables, of which no layer makes products, and the output layer, which no adapter is for. */
const NO_LAYER = /(^|\.)(wte|wpe|embed_tokens|lm_head)$/;
const BLOCK = /(^|\.)(?:h|layers)\.\d+\./;

/**
 * Returns the size of what a job makes of a base. A full tune trains every number of it. Throws
 * `base/targets`.
 */
export function sizeOfBase(base: BaseShape, tuning: Tuning): BaseSize {
  const { parameters, baseBytes, layers, width } = base;
  const isFull = tuning.tune === 'full';
  const trainable = isFull ? parameters : countAdapter(base, tuning.lora);
  // An adapter's numbers are part of the model too.
  return {
    parameters: isFull ? parameters : parameters + trainable,
    trainable,
    baseBytes,
    layers,
    width,
    hidden: hiddenOf(base),
  };
}

/** The layers that get an adapter, by what their names end in. */
function adaptedLayers(base: Pick<BaseShape, 'tensors'>, targets: 'auto' | readonly string[]): Layer[] {
  const layers = layersOf(base);
  if (targets === 'auto') return layers.filter(({ name }) => /\.(attn|self_attn)\.[^.]+$/.test(name));
  requireTargets(layers, targets);
  return layers.filter(({ name }) => targets.some((target) => `.${name}`.endsWith(`.${target}`)));
}

/** Throws `base/targets` for a target that no layer has: nothing would be trained there. */
function requireTargets(layers: readonly Layer[], targets: readonly string[]): void {
  const target = targets.find((one) => !layers.some(({ name }) => `.${name}`.endsWith(`.${one}`)));
  if (target === undefined) return;
  const known = [...new Set(layers.map(({ name }) => name.split('.').at(-1) ?? ''))].sort();
  throw new AppError<TargetsError>(
    { code: 'base/targets', target },
    `No layer of the base is called ${target} (lora.targets); there are ${known.join(', ')}.`,
  );
}

interface Layer {
  name: string;
  in: number;
  out: number;
}

/** The layers that multiply by a matrix, whichever way round it is stored: only the sum of the two counts. */
function layersOf({ tensors }: Pick<BaseShape, 'tensors'>): Layer[] {
  return tensors.flatMap(({ name, shape: [out, within, ...more] }) => {
    if (!name.endsWith('.weight') || out === undefined || within === undefined || more.length > 0) return [];
    const layer = name.slice(0, -'.weight'.length);
    return NO_LAYER.test(layer) ? [] : [{ name: layer, in: within, out }];
  });
}

/** An adapter of rank r has two matrices for each layer: in × r and r × out. */
function countAdapter(base: BaseShape, { r, targets }: { r: number; targets: 'auto' | readonly string[] }): number {
  return adaptedLayers(base, targets).reduce((sum, layer) => sum + r * (layer.in + layer.out), 0);
}

/** What the widest layers of a block keep; a matrix with both branches of an MLP is twice as wide as it. */
function hiddenOf(base: Pick<BaseShape, 'tensors'>): number {
  const blocks = layersOf(base).filter(({ name }) => BLOCK.test(name));
  const widths = blocks.map(({ name, in: from, out }) => Math.max(from, out) / (name.endsWith('gate_up_proj') ? 2 : 1));
  const isGated = blocks.some(({ name }) => name.includes('gate'));
  return Math.max(1, keptByMlp(Math.max(0, ...widths), isGated));
}

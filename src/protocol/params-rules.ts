/** Rules about several parameters of a job at once, each with the words that its requester reads. */
import { MAX_DEVICE_BYTES, memoryBytesOf, vocabularyOf } from '../domain/job-fit';
import { sizeFromScratch } from '../domain/model-size';

/** What the rules look at. */
interface Asked {
  tune: 'none' | 'full' | 'lora';
  model: { context: number };
  tokenizer: { type: 'byte' | 'base' } | { type: 'bpe'; vocabSize: number };
  data: {
    format: string;
    field?: string | undefined;
    template?: string | undefined;
    loss: string;
    skipBroken: number;
  };
  inner: { optimiser: 'adamw' | 'muon'; lr?: number | undefined; muonLr?: number | undefined };
  outer: { lr?: number | undefined; momentum?: number | undefined };
  batch?: number | undefined;
  accumulate: number;
  lora?: { targets: 'auto' | readonly string[] } | undefined;
}
interface Shape {
  family: 'gpt2' | 'llama';
  layers: number;
  heads: number;
  width: number;
  context: number;
}

/** A rule that parameters break: where, and in which words. */
export interface BrokenRule {
  path: string[];
  message: string;
}

/**
 * A hundred times what the defaults come to. Each inner step of AdamW moves a weight by about so much in the
 * end; of Muon, a whole matrix in each of its directions.
 */
const MAX_WHOLE_RATES = { lr: 0.5, muonLr: 4 } as const;

/** Returns the rules that parameters break which are right one by one. */
export function findBrokenRules(params: Asked): BrokenRule[] {
  const found = [
    ...(params.tune === 'none' ? shapeRules(params.model as Shape, params.tokenizer) : []),
    rateRule(params, 'lr'),
    params.inner.optimiser === 'muon' ? rateRule(params, 'muonLr') : undefined,
    optimiserRule(params),
    accumulateRule(params),
    ...dataRules(params.data),
    targetsRule(params.lora),
  ];
  return found.filter((rule) => rule !== undefined);
}

function shapeRules(shape: Shape, tokenizer: Asked['tokenizer']): (BrokenRule | undefined)[] {
  const { family, width, heads } = shape;
  const bytes = memoryBytesOf(sizeFromScratch(shape, vocabularyOf(tokenizer)));
  const gib = Math.ceil(bytes / 2 ** 30);
  const most = MAX_DEVICE_BYTES / 2 ** 30;
  return [
    bytes > MAX_DEVICE_BYTES
      ? broken('model', `needs about ${gib} GiB on a device, and no device has more than ${most}`)
      : undefined,
    family === 'llama' && width % (2 * heads) !== 0
      ? broken('model.heads', `a llama turns pairs of numbers, so width ÷ heads (${width} ÷ ${heads}) must be even`)
      : undefined,
  ];
}

/** What is left open is looked at once it is settled. */
function rateRule({ inner, outer }: Asked, name: 'lr' | 'muonLr'): BrokenRule | undefined {
  // How far the outer steps together carry what an inner step does.
  const whole = ((inner[name] ?? 0) * (outer.lr ?? 1)) / (1 - (outer.momentum ?? 0));
  const most = MAX_WHOLE_RATES[name];
  if (whole <= most) return undefined;
  const rate = Number(whole.toPrecision(3));
  return broken(
    'outer',
    `inner.${name} × outer.lr ÷ (1 − outer.momentum) is ${rate}, and above ${most} every job diverges`,
  );
}

function optimiserRule({ tune, inner }: Asked): BrokenRule | undefined {
  if (tune !== 'lora' || inner.optimiser !== 'muon') return undefined;
  return broken('inner.optimiser', 'muon moves whole matrices, and an adapter is two thin ones; leave it at adamw');
}

function accumulateRule({ batch, accumulate }: Asked): BrokenRule | undefined {
  if (accumulate === 1 || (batch !== undefined && batch % accumulate === 0)) return undefined;
  const beside = batch === undefined ? 'name batch too' : `batch is ${batch}`;
  return broken('accumulate', `must divide batch into ${accumulate} equal parts; ${beside}`);
}

/** Plain text has neither fields nor answers. */
function dataRules({ format, field, template, loss, skipBroken }: Asked['data']): (BrokenRule | undefined)[] {
  if (format !== 'text') return [];
  const asked = { field, template, skipBroken: skipBroken || undefined, loss: loss === 'answers' ? loss : undefined };
  const [name] = Object.entries(asked).find(([, value]) => value !== undefined) ?? [];
  if (name === undefined) return [];
  const why = 'is about records, and data.format "text" has none; leave one of them out';
  return [broken(`data.${name}`, why)];
}

function targetsRule(lora: Asked['lora']): BrokenRule | undefined {
  if (!lora || lora.targets === 'auto') return undefined;
  const twice = lora.targets.find((name, i, all) => all.indexOf(name) !== i);
  return twice === undefined ? undefined : broken('lora.targets', `names ${twice} twice`);
}

function broken(path: string, message: string): BrokenRule {
  return { path: path.split('.'), message };
}

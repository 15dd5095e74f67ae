/** How large a model is: what memory, files and time of a job are estimated by. */

export interface ModelSize {
  /** All numbers of the model. */
  parameters: number;
  /** Those that are trained: θ, and so updates and steps, have as many. */
  trainable: number;
  /** Those of them that Muon trains, and so not AdamW. */
  byMuon: number;
  /** The files of a base, which every worker of the job needs; 0 from scratch. */
  baseBytes: number;
  layers: number;
  width: number;
  /** Numbers that the MLP of a block makes of a token, and keeps for the way back. */
  hidden: number;
  context: number;
  /** Rows of the embedding. */
  vocabSize: number;
  /** Whether the numbers inside the blocks are computed again on the way back, rather than kept. */
  recomputes: boolean;
}

/** What the files of a base and the job's parameters tell about it. */
export type BaseSize = Pick<ModelSize, 'parameters' | 'trainable' | 'baseBytes' | 'layers' | 'width' | 'hidden'>;

/** The shape of a model that is trained from scratch. */
export interface ScratchShape {
  family: 'gpt2' | 'llama';
  layers: number;
  width: number;
  context: number;
}

/** What a job's parameters tell about its model; with a base, the rest is in its files. */
export type SizedParams = { gradientCheckpointing: boolean; inner: { optimiser: 'adamw' | 'muon' } } & (
  | { tune: 'none'; model: ScratchShape }
  | { tune: 'full' | 'lora'; model: { context: number } }
);

/** Returns the size of a job's model. A job with a base has its `base`. */
export function modelSizeOf(params: SizedParams, vocabSize: number, base: BaseSize | undefined): ModelSize {
  const { gradientCheckpointing: recomputes, inner } = params;
  const size = params.tune === 'none' ? sizeFromScratch(params.model, vocabSize) : base;
  if (!size) throw new Error('A job with a base needs its size');
  // All but the embedding; what else Muon leaves alone is small.
  const byMuon = inner.optimiser === 'muon' ? Math.max(0, size.trainable - vocabSize * size.width) : 0;
  return { ...size, byMuon, context: params.model.context, vocabSize, recomputes };
}

/** Returns the size of a model that is trained from scratch by AdamW. */
export function sizeFromScratch(model: ScratchShape, vocabSize: number): ModelSize {
  const { family, layers, width, context } = model;
  const parameters = countParameters(model, vocabSize);
  const hidden = keptByMlp(mlpWidth(model), family === 'llama');
  return {
    parameters,
    trainable: parameters,
    byMuon: 0,
    baseBytes: 0,
    layers,
    width,
    hidden,
    context,
    vocabSize,
    recomputes: false,
  };
}

/** Counts the numbers of a model from scratch as the Python child does; its output layer is the embedding. */
export function countParameters(model: ScratchShape, vocabSize: number): number {
  const { family, layers, width, context } = model;
  const attention = 4 * width ** 2;
  switch (family) {
    case 'gpt2': {
      const biases = 9 * width;
      const norms = 4 * width;
      return layers * (attention + 8 * width ** 2 + biases + norms) + (vocabSize + context + 2) * width;
    }
    case 'llama':
      return layers * (attention + 3 * width * mlpWidth(model) + 2 * width) + (vocabSize + 1) * width;
  }
}

/** A Llama's MLP has three matrices, which together are about as large as a GPT-2's two of 4 × width. */
function mlpWidth({ family, width }: ScratchShape): number {
  return family === 'gpt2' ? 4 * width : 32 * Math.ceil((8 * width) / 96);
}

/** How many numbers are kept for each unit of an MLP's width: of two branches and their product, more. */
const KEPT = { plain: 1.5, gated: 5 } as const;

/** Returns how many numbers an MLP of this width keeps of a token. */
export function keptByMlp(width: number, isGated: boolean): number {
  return Math.round(width * (isGated ? KEPT.gated : KEPT.plain));
}

/** How large a model is: what memory, files and time of a job are estimated by. */

export interface ModelSize {
  /** All numbers of the model. */
  parameters: number;
  /** Those that are trained: θ, and so updates and steps, have as many. */
  trainable: number;
  /** The files of a base, which every worker of the job needs; 0 from scratch. */
  baseBytes: number;
  layers: number;
  width: number;
  context: number;
  /** Rows of the embedding. */
  vocabSize: number;
}

/** What the files of a base tell about it. */
export type BaseSize = Pick<ModelSize, 'parameters' | 'trainable' | 'baseBytes' | 'layers' | 'width'>;

/** What a job's parameters tell about its model; with a base, the rest is in its files. */
type Asked =
  | { tune: 'none'; model: { layers: number; width: number; context: number } }
  | { tune: 'full' | 'lora'; model: { context: number } };

/** Returns the size of a job's model. A job with a base has its `base`. */
export function modelSizeOf(params: Asked, vocabSize: number, base: BaseSize | undefined): ModelSize {
  if (params.tune === 'none') return sizeFromScratch(params.model, vocabSize);
  if (!base) throw new Error('A job with a base needs its size');
  return { ...base, context: params.model.context, vocabSize };
}

/** Returns the size of a model that is trained from scratch. */
export function sizeFromScratch(
  model: { layers: number; width: number; context: number },
  vocabSize: number,
): ModelSize {
  const parameters = countParameters(model, vocabSize);
  const { layers, width, context } = model;
  return { parameters, trainable: parameters, baseBytes: 0, layers, width, context, vocabSize };
}

/** Counts the parameters of a GPT-2 style model: attention and MLP weights, embeddings, positions. */
export function countParameters(shape: { layers: number; width: number; context: number }, vocabSize: number): number {
  return 12 * shape.layers * shape.width ** 2 + (vocabSize + shape.context) * shape.width;
}

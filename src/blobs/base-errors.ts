/** What can be wrong with a base model, in the words that its requester reads. */
import type { BaseFlaw } from '../domain/base-files';
import { AppError } from '../lib/errors';

export type BaseErrorCode = `base/${
  | BaseFlaw
  | 'bad-reference'
  | 'bad-list'
  | 'bad-config'
  | 'bad-weights'
  | 'architecture'
  | 'remote-code'
  | 'quantised'
  | 'missing'
  | 'no-access'
  | 'private'
  | 'hub-away'
  | 'other-bytes'
  | 'other-files'
  | 'too-large'}`;

/** `base` is the reference, or the directory, as somebody wrote it. */
export interface BaseError {
  code: BaseErrorCode;
  base: string;
  file?: string | undefined;
  bytes?: number | undefined;
  maxBytes?: number | undefined;
}

/** Makes the error; `sentence` goes on behind "The base model <base> ". */
export function baseError(
  code: BaseErrorCode,
  base: string,
  sentence: string,
  more: Omit<BaseError, 'code' | 'base'> & { cause?: unknown } = {},
): AppError<BaseError> {
  const { cause, ...values } = more;
  return new AppError({ code, base, ...values }, `The base model ${base} ${sentence}`, { cause });
}

const CONVERT =
  "convert it first, on a machine where you trust it: python -c \"from transformers import AutoModelForCausalLM as M, AutoTokenizer as T; M.from_pretrained('OLD').save_pretrained('NEW'); T.from_pretrained('OLD').save_pretrained('NEW')\"";

const FLAWS: Readonly<Record<BaseFlaw, string>> = {
  adapter:
    'is an adapter, not a model: name the model that it was made for, or merge both first (peft: merge_and_unload).',
  'no-config': 'has no config.json; save it by save_pretrained of transformers.',
  pickled: `has its weights as pickled Python, which can run code and is never opened; ${CONVERT}.`,
  'other-weights':
    'has no model.safetensors; weights in other forms (GGUF, ONNX, another name) cannot be trained: take the original model in safetensors.',
  'no-weights': 'has no weights: neither model.safetensors nor model.safetensors.index.json with its parts.',
  'no-tokenizer':
    'has no tokenizer: save one beside the weights, as tokenizer.json (AutoTokenizer(…).save_pretrained writes it), tokenizer.model or spiece.model.',
};

/** Makes the error of a directory that is no base. */
export function flawError(flaw: BaseFlaw, base: string): AppError<BaseError> {
  return baseError(`base/${flaw}`, base, FLAWS[flaw]);
}

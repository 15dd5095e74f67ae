/** `emeth eval`: how well a trained model predicts a data set, or does in a task of lm-eval. */
import { resolve } from 'node:path';
import { stopSignal } from '../../app/context';
import { AppError } from '../../lib/errors';
import type { DataFormat } from '../../protocol/job-params';
import { runLmEval } from '../../runner/lm-eval';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';
import { holdFile } from '../../terminal/spool';
import { findModel, type ModelPlace } from './find-model';
import { openModelChild, unlessStopped } from './model-child';

export type EvalError = { code: 'usage/no-measure' };

interface EvalOptions extends CommonOptions {
  data?: string | undefined;
  format: DataFormat;
  field?: string | undefined;
  lmEval?: string | undefined;
  base?: string | undefined;
  context?: number | undefined;
  device: string;
}

export async function evalModel(model: string, options: EvalOptions): Promise<void> {
  const { data, lmEval } = options;
  if ((data === undefined) === (lmEval === undefined)) {
    const message = 'Name what to measure by: either --data with a file, or --lm-eval with a task.';
    throw new AppError<EvalError>({ code: 'usage/no-measure' }, message);
  }
  const place = await findModel(model, options.base);
  const signal = stopSignal();
  if (lmEval !== undefined) {
    const { device, json } = options;
    return runLmEval({ ...place, task: lmEval, device, isJson: json ?? false }, signal);
  }
  return measure(place, data as string, options, signal);
}

async function measure(place: ModelPlace, data: string, options: EvalOptions, signal: AbortSignal): Promise<void> {
  await using held = await holdFile('--data', data, signal);
  const { format, field, context, device } = options;
  const spec = { kind: 'measure' as const, device, ...place, dataset: resolve(held.path), format, field, context };
  await using opened = await openModelChild(() => spec, options, signal);
  const { loss, lossPerByte, tokens, texts, onAnswers } = await unlessStopped(signal, opened.child.next('measured'));
  const perplexity = Math.exp(loss);
  const bitsPerByte = lossPerByte / Math.LN2;
  if (options.json) return printJson({ loss, perplexity, bitsPerByte, tokens, texts, onAnswers });
  const what = onAnswers ? 'answers of the chats alone' : 'all of the text';
  printLines(
    `loss           ${loss.toFixed(4)} nats per token (${what})`,
    `perplexity     ${perplexity.toPrecision(4)}`,
    `bits per byte  ${bitsPerByte.toFixed(4)}`,
    `measured on    ${tokens.toLocaleString('en')} tokens of ${texts.toLocaleString('en')} texts`,
  );
}

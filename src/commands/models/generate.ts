/** `emeth generate`: writes text with a trained model, or talks with it, in a Python child. */
import { stopSignal } from '../../app/context';
import { AppError } from '../../lib/errors';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, printText } from '../../terminal/print';
import { type Ask, converse } from './chat';
import { findModel } from './find-model';
import { openModelChild, unlessStopped } from './model-child';

export type GenerateError = { code: 'usage/chat-prompt' };

interface GenerateOptions extends CommonOptions {
  prompt?: string | undefined;
  base?: string | undefined;
  stream?: boolean | undefined;
  chat?: boolean | undefined;
  system?: string | undefined;
  maxTokens: number;
  temperature: number;
  topK: number;
  seed: number;
  device: string;
}

/** What follows where nobody names a prompt: a new line. */
const NO_PROMPT = '\n';

export async function generateText(model: string, options: GenerateOptions): Promise<void> {
  const { prompt = NO_PROMPT, chat: isChat, system, maxTokens: maxNewTokens, temperature, topK, seed } = options;
  if (isChat ? options.prompt !== undefined : system !== undefined) {
    const message = 'A conversation (--chat) is read from stdin and may have --system; --prompt is without it.';
    throw new AppError<GenerateError>({ code: 'usage/chat-prompt' }, message);
  }
  const place = await findModel(model, options.base);
  const signal = stopSignal();
  const spec = { kind: 'generate' as const, device: options.device, ...place };
  await using opened = await openModelChild(() => spec, options, signal);
  const ask: Ask = async (what, onPiece) => {
    const command = { type: 'write' as const, ...what, maxNewTokens, temperature, topK, seed };
    const answer = opened.child.run(command, 'written', ({ text }) => onPiece?.(text));
    return (await unlessStopped(signal, answer)).text;
  };
  if (isChat) return await converse(ask, { system, isJson: options.json ?? false }, signal);
  const isStreamed = options.stream && !options.json;
  if (isStreamed) await unlessStopped(signal, opened.child.ready);
  if (isStreamed) printText(prompt);
  const text = await ask({ prompt }, isStreamed ? printText : undefined);
  if (options.json) printJson({ text: `${prompt}${text}` });
  else printLines(isStreamed ? '' : `${prompt}${text}`);
}

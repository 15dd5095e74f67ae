/** A conversation with a trained model: lines of stdin are its questions, at a terminal or from a pipe. */
import { printText } from '../../terminal/print';
import { readTyped } from '../../terminal/typed-lines';

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/** Asks the model for the text that follows a prompt, or for the next answer of a conversation. */
export type Ask = (
  what: { prompt: string } | { messages: ChatMessage[] },
  onPiece?: (text: string) => void,
) => Promise<string>;

/**
 * Answers line after line until stdin ends; all that was said before is part of each question. With `isJson`
 * each answer is a line of JSON, else it is printed as it comes.
 */
export async function converse(
  ask: Ask,
  { system, isJson }: { system?: string | undefined; isJson: boolean },
  signal: AbortSignal,
): Promise<void> {
  const messages: ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  for await (const line of readTyped('Type a message and press Enter; Ctrl-D ends the conversation.', signal)) {
    messages.push({ role: 'user', content: line });
    const content = await ask({ messages }, isJson ? undefined : printText);
    const answer: ChatMessage = { role: 'assistant', content };
    messages.push(answer);
    printText(isJson ? `${JSON.stringify(answer)}\n` : '\n');
  }
  signal.throwIfAborted();
}

/** A conversation with a trained model: lines of stdin are its questions, at a terminal or from a pipe. */
import { createInterface } from 'node:readline';
import { printText, talk } from '../../terminal/print';

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
  for await (const line of readMessages(signal)) {
    messages.push({ role: 'user', content: line });
    const content = await ask({ messages }, isJson ? undefined : printText);
    const answer: ChatMessage = { role: 'assistant', content };
    messages.push(answer);
    printText(isJson ? `${JSON.stringify(answer)}\n` : '\n');
  }
  signal.throwIfAborted();
}

/** The lines of stdin that are not blank; a person at a terminal is prompted for each. */
async function* readMessages(signal: AbortSignal): AsyncGenerator<string> {
  const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const terminal = isTerminal ? { output: process.stderr, prompt: '> ' } : {};
  const lines = createInterface({ input: process.stdin, ...terminal, signal });
  // On a terminal the reader of lines takes Ctrl-C for itself.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  if (isTerminal) {
    talk('Type a message and press Enter; Ctrl-D ends the conversation.');
    lines.prompt();
  }
  for await (const line of lines) {
    if (line.trim() !== '') yield line;
    if (isTerminal) lines.prompt();
  }
}

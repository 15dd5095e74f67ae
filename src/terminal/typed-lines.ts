/** Lines that somebody types, or that a pipe brings. */
import { createInterface } from 'node:readline';
import { talk } from './print';

/** The lines of stdin that are not blank; a person at a terminal is greeted, and prompted for each. */
export async function* readTyped(greeting: string, signal: AbortSignal): AsyncGenerator<string> {
  const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const terminal = isTerminal ? { output: process.stderr, prompt: '> ' } : {};
  const lines = createInterface({ input: process.stdin, ...terminal, signal });
  // On a terminal the reader of lines takes Ctrl-C for itself.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  if (isTerminal) {
    talk(greeting);
    lines.prompt();
  }
  for await (const line of lines) {
    if (line.trim() !== '') yield line;
    if (isTerminal) lines.prompt();
  }
}

/** Asks the person at the terminal. */
import { createInterface } from 'node:readline/promises';

/** Whether a person can answer: stdin is a terminal. */
export function isInteractive(): boolean {
  return process.stdin.isTTY === true;
}

/** Shows a prompt on stderr and returns the line that is typed, trimmed. */
export async function ask(prompt: string): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(prompt)).trim();
  } finally {
    terminal.close();
  }
}

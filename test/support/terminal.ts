/** A command in a pseudo-terminal, seen and driven like a person does. */
import { spawn } from 'node-pty';

/** The terminal of one command. */
export interface Terminal extends AsyncDisposable {
  /** Everything shown so far, without colours and cursor movements. */
  screen(): string;
  /** Resolves when the screen matches; rejects when the command ends without it. */
  waitFor(pattern: RegExp): Promise<void>;
  /** Types text; `\r` is the Enter key, `\x03` is Ctrl-C. */
  type(keys: string): void;
  readonly exited: Promise<number>;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are a terminal's control sequences.
const CONTROL = /\u001b\[[0-9;?]*[A-Za-z]|\u001b[()][A-Z0-9]/g;

/** Runs a command in a pseudo-terminal of 100 × 30. */
export function openTerminal(
  command: string,
  args: readonly string[],
  { cwd, env = {} }: { cwd: string; env?: NodeJS.ProcessEnv },
): Terminal {
  const child = spawn(command, [...args], { cols: 100, rows: 30, cwd, env: { ...process.env, ...env } });
  let shown = '';
  let hasEnded = false;
  const watchers = new Set<() => void>();
  const wake = () => {
    for (const watcher of [...watchers]) watcher();
  };
  const exited = new Promise<number>((resolve) => {
    child.onExit(({ exitCode }) => {
      hasEnded = true;
      wake();
      resolve(exitCode);
    });
  });
  child.onData((data) => {
    shown += data.replace(CONTROL, '');
    wake();
  });

  return {
    screen: () => shown,
    type: (keys) => child.write(keys),
    exited,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const isShown = pattern.test(shown);
          if (!isShown && !hasEnded) return;
          watchers.delete(look);
          if (isShown) resolve();
          else reject(new Error(`The command ended without ${pattern}; it showed:\n${shown}`));
        };
        watchers.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      if (!hasEnded) child.kill('SIGKILL');
      await exited;
    },
  };
}

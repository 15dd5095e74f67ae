/** Server programs of the distribution that tests start: where they are, and how they end with the tests. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const places = [
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/sbin',
  '/usr/libexec',
  '/usr/local/sbin',
  '/usr/local/bin',
];
/** Runs the server until its standard input closes, so that it and its data always end with the tests. */
const KEEPER = '"$0" "$@" & cat >/dev/null; kill -9 $!; wait; rm -rf "$PWD"';

/** Returns the path of a program; undefined when this machine has none. */
export function findProgram(name: string): string | undefined {
  return places.map((place) => join(place, name)).find((path) => existsSync(path));
}

/** Starts a server whose files are all in `dir`, which is removed at the end. */
export function startProgram(program: string, args: readonly string[], dir: string): AsyncDisposable {
  const child = spawn('sh', ['-c', KEEPER, program, ...args], { cwd: dir, stdio: ['pipe', 'ignore', 'ignore'] });
  return {
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end();
      await gone;
    },
  };
}

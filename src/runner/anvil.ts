/** Starts anvil, the local chain of the demo and the tests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { AppError } from '../lib/errors';

export type AnvilError = { code: 'runner/anvil-failed'; output: string };

/** A throw-away Ethereum chain on loopback. */
export interface Anvil extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

/** Keys of anvil's first accounts. They are public, so use them on a private chain only. */
export const devKeys = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
  '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a',
  '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6',
  '0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a',
  '0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba',
] as const;

/** Returns the path of the binary that npm installed for this platform. */
function findAnvil(): string {
  const cpu = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const name = `@foundry-rs/anvil-${process.platform}-${cpu}/package.json`;
  return join(
    require.resolve(name, { paths: [require.resolve('@foundry-rs/anvil/package.json')] }),
    '..',
    'bin',
    'anvil',
  );
}

/**
 * A shell script that runs its arguments and kills them when its stdin ends. Stdin ends however this process
 * ends; anvil started directly would outlive it.
 */
const KEEPER = '"$@" & exec >/dev/null 2>&1; read -r line; kill -9 $!; wait';

/**
 * Starts anvil on a free port or the given one. Every transaction makes a block unless `blockTimeS` is set.
 */
export async function startAnvil(
  options: { port?: number; blockTimeS?: number; hardfork?: string } = {},
): Promise<Anvil> {
  const args = ['--host', '127.0.0.1', '--port', String(options.port ?? 0), '--no-cors'];
  if (options.hardfork) args.push('--hardfork', options.hardfork);
  if (options.blockTimeS) args.push('--block-time', String(options.blockTimeS));
  const child = spawn('/bin/sh', ['-c', KEEPER, 'anvil', findAnvil(), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A Ctrl-C at the terminal must not reach the shell, which would end without ending anvil.
    detached: true,
  });
  const stop = async () => {
    child.stdin.end();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  try {
    const port = await listeningPort(child);
    child.stdout.resume();
    child.stderr.resume();
    return { url: `http://127.0.0.1:${port}`, port, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function listeningPort(child: ChildProcess & { stdout: Readable; stderr: Readable }) {
  const output: string[] = [];
  const errorsRead = finished(child.stderr).catch(() => undefined);
  child.stderr.on('data', (chunk) => output.push(String(chunk)));
  child.once('error', (error) => output.push(error.message));
  for await (const line of createInterface({ input: child.stdout })) {
    const match = /Listening on 127\.0\.0\.1:(\d+)/.exec(line);
    if (match) return Number(match[1]);
    output.push(line);
  }
  // stdout may end before all of stderr is read.
  await errorsRead;
  const printed = output.join('\n').trim().slice(-500);
  throw new AppError<AnvilError>(
    { code: 'runner/anvil-failed', output: printed },
    `The local chain did not start: ${printed}`,
  );
}

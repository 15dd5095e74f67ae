/** A throw-away nginx for tests, with server blocks as an operator writes them. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fastDir } from './scratch';
import { findProgram, startProgram } from './server-programs';
import { until } from './until';

/** The nginx program of this machine; undefined when there is none. */
export function findNginx(): string | undefined {
  return findProgram('nginx');
}

/** Starts nginx with this text inside its `http` block, which has it listen on `port`. */
export async function startNginx(servers: string, port: number): Promise<AsyncDisposable> {
  const program = findNginx();
  if (!program) throw new Error('No nginx was found; run: npx ts-node scripts/test-servers.ts');
  const dir = await mkdtemp(join(fastDir(), 'emeth-nginx-'));
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${dir}/${name};`);
  const main = [
    // One process: it ends with its keeper, whatever happens to the tests.
    'daemon off; master_process off;',
    `pid ${dir}/pid; error_log ${dir}/log;`,
    'events {}',
    `http { access_log off; ${paths.join(' ')}\n${servers}\n}`,
  ];
  await writeFile(join(dir, 'nginx.conf'), main.join('\n'));
  const nginx = startProgram(program, ['-p', dir, '-e', join(dir, 'log'), '-c', join(dir, 'nginx.conf')], dir);
  try {
    await until(() => accepts(port));
    return nginx;
  } catch (cause) {
    const log = await readFile(join(dir, 'log'), 'utf8').catch(() => '');
    await nginx[Symbol.asyncDispose]();
    throw new Error(`nginx did not start; its log ends: ${log.slice(-1000)}`, { cause });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

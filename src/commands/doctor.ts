import { statfs } from 'node:fs/promises';
import { availableParallelism, freemem } from 'node:os';
import type { Command } from 'commander';
import type { Role, RoleConfig } from '../config/schema';
import { AppError, describeError, errorCode } from '../lib/errors';
import { type CommonOptions, example } from './options';
import { formatBytes, printJson, printLines } from './print';

/** One thing a role needs, and whether it is there. */
interface Check {
  name: string;
  status: 'ok' | 'warning' | 'failed';
  value: string;
  needed: string;
  /** For programs: an error's code, or `ok`. */
  code: string;
  remedy?: string | undefined;
}

const MIN_DISK_BYTES = 5e9;
const MIN_MEMORY_BYTES = 2e9;
const MAX_SKEW_MS = 30_000;

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('look whether everything a role needs is there: Python, PyTorch, GPU, disk, chain, contracts, storage')
    .addHelpText('after', example('emeth doctor', 'emeth doctor --config config/worker.json --json'))
    .action(doctor);
}

async function doctor(options: CommonOptions): Promise<void> {
  const checks = [
    nodeCheck(),
    await pythonCheck(),
    coresCheck(),
    memoryCheck(),
    await diskCheck(),
    ...(await roleChecks(options)),
  ];
  if (options.json) printJson(checks);
  else await printChecks(checks);
  const failed = checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
  if (failed.length > 0)
    throw new AppError({ code: 'doctor/failed', failed }, `Not everything is in order: ${failed.join(', ')}.`);
}

async function printChecks(checks: readonly Check[]): Promise<void> {
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['', 'what', 'found', 'needed', 'remedy'],
    style: { head: [] },
    wordWrap: true,
    colWidths: [4, 12, 34, 26, 44],
  });
  const signs = { ok: '✓', warning: '!', failed: '✗' } as const;
  for (const { status, name, value, needed, remedy } of checks)
    table.push([signs[status], name, value, needed, remedy ?? '']);
  printLines(table.toString());
}

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const holds = major > 20 || (major === 20 && minor >= 19);
  return make(
    'node',
    holds,
    process.versions.node,
    '20.19 or newer',
    'doctor/old-node',
    'Install Node 20.19 or newer.',
  );
}

async function pythonCheck(): Promise<Check> {
  return tried('python', 'Python ≥ 3.11 with PyTorch', async () => {
    const { findPython } = await import('../runner/python.js');
    const { path, version, torch, cudaDevices } = await findPython();
    const gpus =
      cudaDevices.map(({ name, memoryBytes }) => `${name}, ${formatBytes(memoryBytes)}`).join('; ') || 'no CUDA device';
    return `${path} ${version}, torch ${torch}, ${gpus}`;
  });
}

function coresCheck(): Check {
  return make('cores', true, String(availableParallelism()), '1 per worker', 'ok');
}

function memoryCheck(): Check {
  const bytes = freemem();
  const check = make(
    'memory',
    bytes >= MIN_MEMORY_BYTES,
    `${formatBytes(bytes)} free`,
    `${formatBytes(MIN_MEMORY_BYTES)} free`,
    'doctor/low-memory',
    'End other programs, or choose smaller models.',
  );
  return check.status === 'failed' ? { ...check, status: 'warning' } : check;
}

async function diskCheck(): Promise<Check> {
  const { bavail, bsize } = await statfs('.');
  const bytes = bavail * bsize;
  return make(
    'disk',
    bytes >= MIN_DISK_BYTES,
    `${formatBytes(bytes)} free here`,
    `${formatBytes(MIN_DISK_BYTES)} free`,
    'doctor/low-disk',
    'Make room, or choose another --data-dir.',
  );
}

/** What the configuration names; nothing when there is none. */
async function roleChecks(options: CommonOptions): Promise<Check[]> {
  const { existsSync } = await import('node:fs');
  const { defaultConfigPath, loadRole } = await import('./context.js');
  const { roleOfFile } = await import('../config/load.js');
  const path = options.config ?? defaultConfigPath('client');
  if (options.config === undefined && !existsSync(path)) {
    return [
      {
        name: 'config',
        status: 'warning',
        value: `no ${path}`,
        needed: 'a configuration',
        code: 'config/missing',
        remedy: 'Write one with `emeth init <role>`, or name yours with --config.',
      },
    ];
  }
  let config: RoleConfig<Role> | undefined;
  let role: Role | undefined;
  const read = await tried('config', 'valid settings', async () => {
    role = roleOfFile(path);
    config = (await loadRole(role, { ...options, config: path })).config;
    return `${path} (${role})`;
  });
  return config && role ? [read, ...(await settingsChecks(config))] : [read];
}

async function settingsChecks(config: RoleConfig<Role>): Promise<Check[]> {
  const { endpoint, emethContractAddress: core, tokenContractAddress: token, chainId } = config;
  const checks: Check[] = [];
  if (endpoint && core && token) checks.push(...(await chainChecks({ endpoint, core, token, chainId })));
  if ('master_node_url' in config)
    checks.push(await urlCheck('master', new URL('/healthz', config.master_node_url).href));
  if ('storageApi' in config && config.storageApi) checks.push(await urlCheck('storage', config.storageApi));
  return checks;
}

async function chainChecks(options: Parameters<typeof import('../chain/client')['openChain']>[0]): Promise<Check[]> {
  const { openChain } = await import('../chain/client.js');
  let skewMs = 0;
  const chain = await tried('chain', 'node and both contracts', async () => {
    await using opened = await openChain(options);
    skewMs = Math.abs(Date.now() - (await opened.nowMs()));
    return `chain ${opened.chainId}, block ${await opened.headBlock()}`;
  });
  if (chain.status !== 'ok') return [chain];
  const clock = make(
    'clock',
    skewMs <= MAX_SKEW_MS,
    `${Math.round(skewMs / 1000)} s from the last block`,
    `≤ ${MAX_SKEW_MS / 1000} s`,
    'doctor/clock-skew',
    'Set the clock (NTP). On an idle development chain this is normal.',
  );
  return [chain, clock.status === 'failed' ? { ...clock, status: 'warning' } : clock];
}

async function urlCheck(name: string, url: string): Promise<Check> {
  return tried(name, 'an answer over HTTP', async () => {
    const startedMs = Date.now();
    const { status } = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    return `${url} answers ${status} in ${Date.now() - startedMs} ms`;
  });
}

async function tried(name: string, needed: string, work: () => Promise<string>): Promise<Check> {
  try {
    return { name, status: 'ok', value: await work(), needed, code: 'ok' };
  } catch (error) {
    return {
      name,
      status: 'failed',
      value: 'not usable',
      needed,
      code: errorCode(error),
      remedy: describeError(error),
    };
  }
}

function make(name: string, holds: boolean, value: string, needed: string, code: string, remedy?: string): Check {
  return holds
    ? { name, status: 'ok', value, needed, code: 'ok' }
    : { name, status: 'failed', value, needed, code, remedy };
}

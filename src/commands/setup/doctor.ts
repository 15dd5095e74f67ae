/** `emeth doctor`: checks whether everything a role needs is there. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import Table from 'cli-table3';
import { defaultConfigPath, loadRole, type RoleContext } from '../../app/context';
import { keyOf } from '../../app/keys';
import { openWallet } from '../../chain/sending/wallet';
import { addressBelow, listenAddress } from '../../config/derived';
import { roleOfFile } from '../../config/load';
import type { Role, RoleConfig } from '../../config/schema';
import { Address } from '../../domain/ids';
import { AppError, errorCode } from '../../lib/errors';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';
import { checkChain } from './doctor-chain';
import {
  attempt,
  type Check,
  checkCores,
  checkDatabase,
  checkDevice,
  checkDisk,
  checkListening,
  checkMemory,
  checkNode,
  checkPackages,
  checkPort,
  checkPrivacy,
  checkPython,
  checkReadiness,
  checkSandbox,
  checkUrl,
} from './doctor-checks';

export type DoctorError = { code: 'doctor/failed'; failed: string[] };

export async function examine(options: CommonOptions): Promise<void> {
  const checks = await runChecks(options);
  if (options.json) printJson(checks);
  else printChecks(checks);
  const failed = checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
  if (failed.length === 0) return;
  throw new AppError<DoctorError>({ code: 'doctor/failed', failed }, `Some checks failed: ${failed.join(', ')}.`);
}

/** Checks this machine, then what the configuration names; without a configuration, the machine alone. */
async function runChecks(options: CommonOptions): Promise<Check[]> {
  const { check: settings, context } = await readSettings(options);
  const compute = context && 'device' in context.config ? context.config : undefined;
  const { minFreeBytes } = { minFreeBytes: undefined, ...context?.config };
  const dataDir = context?.dataDir ?? resolve(options.dataDir ?? 'data');
  const { check: python, python: found } = await checkPython(compute?.python);
  return [
    checkNode(),
    python,
    ...(found
      ? [
          await checkPackages(found),
          await checkDevice(compute?.device, found),
          await checkSandbox(compute?.sandbox ?? 'auto', found),
        ]
      : []),
    checkCores(),
    checkMemory(),
    await checkDisk(dataDir, minFreeBytes),
    ...(await checkPrivacy(dataDir)),
    settings,
    ...(context ? await checkSettings(context) : []),
  ];
}

/** Reads the configuration of `--config`, or that of any role in config/. */
async function readSettings(options: CommonOptions): Promise<{ check: Check; context?: RoleContext<Role> }> {
  const path = options.config ?? defaultConfigPath('client');
  if (options.config === undefined && !existsSync(path)) {
    const remedy = 'Write one with `emeth init <role>`, or name yours with --config.';
    const missing = { name: 'config', value: `no ${path}`, needed: 'a configuration', code: 'config/missing', remedy };
    return { check: { ...missing, status: 'warning' } };
  }
  let context: RoleContext<Role> | undefined;
  const check = await attempt('config', 'valid settings', async () => {
    const role = roleOfFile(path);
    context = loadRole(role, { ...options, config: path });
    return `${path} (${role})`;
  });
  return context ? { check, context } : { check };
}

/** Checks that everything the settings name is there and answers. */
async function checkSettings({ config, dataDir }: RoleContext<Role>): Promise<Check[]> {
  const { endpoint, emethContractAddress: core, tokenContractAddress: token, chainId } = config;
  const key = hasAccount(config)
    ? await attempt('key', 'an account only you can read', () => readAccount(config, dataDir))
    : undefined;
  const checks = key ? [key] : [];
  if (endpoint && core && token) {
    const node = 'min_fee' in config && key?.status === 'ok' ? Address.parse(key.value) : undefined;
    checks.push(...(await checkChain({ endpoint, core, token, chainId }, node)));
  }
  if ('master_node_url' in config) {
    checks.push(...(await checkUrl('master', addressBelow(config.master_node_url, 'healthz').href)));
  }
  const storages = 'storageApi' in config ? (config.storageApi ?? []) : [];
  for (const storage of storages) checks.push(...(await checkUrl('storage', storage)));
  for (const peer of 'peers' in config ? config.peers : []) checks.push(...(await checkUrl('peer', peer)));
  if ('listen' in config) checks.push(...(await checkServer(config)));
  return checks;
}

/** A board has no account, and a storage needs one only to read at its peers. */
function hasAccount(config: RoleConfig<Role>): config is RoleConfig<Exclude<Role, 'board'>> {
  if ('peers' in config) return config.peers.length > 0;
  return !('listen' in config) || 'min_fee' in config;
}

/** Checks what a role with a server needs: its address, and its database. */
async function checkServer(config: RoleConfig<'master' | 'board' | 'storage'>): Promise<Check[]> {
  const place = listenAddress(config);
  const own = config.listen.certFile ? config.my_url : undefined;
  return [
    await checkPort(place, own),
    ...(await checkReadiness(place, own)),
    await checkListening(config),
    ...(config.external_db ? [await checkDatabase(config.external_db)] : []),
  ];
}

/** Returns the role's address; a worker without a key gets one at its first start. */
async function readAccount(config: RoleConfig<Exclude<Role, 'board'>>, dataDir: string): Promise<string> {
  try {
    return (await openWallet(keyOf(config, dataDir), config.chainId ?? 1)).address;
  } catch (error) {
    if ('master_node_url' in config && errorCode(error) === 'config/no-key') return 'made at the first start';
    throw error;
  }
}

function printChecks(checks: readonly Check[]): void {
  const table = new Table({
    head: ['', 'what', 'found', 'needed', 'code', 'remedy'],
    style: { head: [], border: [] },
    wordWrap: true,
    colWidths: [3, 10, 34, 24, 21, 40],
  });
  const signs = { ok: '✓', warning: '!', failed: '✗' } as const;
  for (const { status, name, value, needed, code, remedy } of checks) {
    table.push([signs[status], name, value, needed, code, remedy ?? '']);
  }
  printLines(table.toString());
}

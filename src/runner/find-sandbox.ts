/** Finds out which walls this machine can put around a Python child, by putting them around a first one. */
import { execFile } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { AppError, describeError } from '../lib/errors';
import { isWithin } from '../lib/paths';
import { pythonPackageDir } from './python';
import { findRoots } from './python-roots';
import { outermost, type SandboxMode, type SystemView, sandboxCommand } from './sandbox';

export type SandboxError =
  | { code: 'runner/no-sandbox'; reason: string }
  | { code: 'runner/no-such-sandbox'; value: string };

/**
 * How far children are shut in: by namespaces; or by rlimits and chosen variables only, and why; or not at
 * all, as the operator wants it.
 */
export type Sandbox =
  | { level: 'bubblewrap'; system: SystemView; executable: string }
  | { level: 'limits'; reason: string; remedy: string }
  | { level: 'off' };

const INSTALL = 'install bubblewrap (Debian, Ubuntu, Fedora and Arch: the package `bubblewrap`)';
const PROBE_MS = 30_000;
/** The system's programs and libraries, and those of NixOS and Guix. */
const SYSTEM = ['/usr', '/nix/store', '/gnu/store', '/run/opengl-driver'];
/** What the loader, libraries and local time need of /etc. */
const ETC = ['ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'alternatives', 'localtime'].map((name) => `/etc/${name}`);
/** The processors and their memory, by which libraries choose threads and kernels. */
const SYS = ['/sys/devices/system/cpu', '/sys/devices/system/node'];
/** Of /sys, what drivers of GPUs read as well. */
export const GPU_SYS = ['/sys/devices', '/sys/bus', '/sys/class', '/sys/module'];
const LINKS = ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/**
 * Returns the highest level that works here for this interpreter. `EMETH_SANDBOX` overrides what is
 * configured. Throws `runner/no-sandbox` with the remedy when `require` cannot be met.
 */
export async function findSandbox(configured: SandboxMode, python: string): Promise<Sandbox> {
  const mode = sandboxMode(configured);
  if (mode === 'off') return { level: 'off' };
  const found = await bestSandbox(python);
  if (found.level === 'bubblewrap' || mode === 'auto') return found;
  throw new AppError<SandboxError>(
    { code: 'runner/no-sandbox', reason: found.reason },
    `The sandbox is required, but ${found.reason}; ${found.remedy}, or set sandbox to auto.`,
  );
}

/** The mode that counts: `EMETH_SANDBOX`, else the configured one. Throws `runner/no-such-sandbox`. */
export function sandboxMode(configured: SandboxMode): SandboxMode {
  const given = process.env.EMETH_SANDBOX || configured;
  if (given === 'require' || given === 'auto' || given === 'off') return given;
  throw new AppError<SandboxError>(
    { code: 'runner/no-such-sandbox', value: given },
    `EMETH_SANDBOX is ${JSON.stringify(given)}; it must be require, auto or off.`,
  );
}

/** Returns the highest level that works here, whatever is asked for. */
export async function bestSandbox(python: string): Promise<Exclude<Sandbox, { level: 'off' }>> {
  if (process.platform !== 'linux') {
    return { level: 'limits', reason: `bubblewrap does not exist for ${process.platform}`, remedy: 'use Linux' };
  }
  const bwrap = (process.env.PATH ?? '/usr/bin').split(delimiter).map((dir) => join(dir, 'bwrap'));
  const path = bwrap.find((file) => existsSync(file));
  if (!path) return { level: 'limits', reason: 'bubblewrap is not installed', remedy: INSTALL };
  const scratch = await mkdtemp(join(tmpdir(), 'emeth-sandbox-'));
  try {
    const { executable, roots } = await findRoots(python);
    const view = viewSystem(path, roots);
    const run = (system: SystemView) => tryOut(system, executable, scratch);
    const system = await run(view).catch(() => run({ ...view, isRecent: false }));
    return { level: 'bubblewrap', system, executable };
  } catch (error) {
    return { level: 'limits', ...explain(error) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Runs the interpreter inside. */
async function tryOut(system: SystemView, executable: string, workDir: string): Promise<SystemView> {
  const program = [executable, '-c', 'import json, emeth.wire.limits'];
  const [command = '', ...args] = sandboxCommand(system, { workDir, reads: [], hidden: workDir, devices: [] }, program);
  const env = { PYTHONPATH: pythonPackageDir };
  await promisify(execFile)(command, args, { timeout: PROBE_MS, env });
  return system;
}

function viewSystem(bwrap: string, roots: readonly string[]): SystemView {
  const links: [string, string][] = [];
  const reads: string[] = [...SYSTEM, ...ETC, ...SYS, ...roots.filter(isHarmless)];
  for (const path of LINKS) {
    const link = lstatSync(path, { throwIfNoEntry: false });
    if (link?.isSymbolicLink()) links.push([path, readlinkSync(path)]);
    else if (link) reads.push(path);
  }
  const replaced = ['hosts', 'passwd', 'group', 'nsswitch.conf'].map(
    (name) => [`/etc/${name}`, join(pythonPackageDir, 'sandbox', name)] as const,
  );
  return { bwrap, isRecent: true, reads: outermost(reads.filter((path) => existsSync(path))), links, replaced };
}

/** A search path may name a home or the whole disk by mistake; the secrets there are not for the child. */
function isHarmless(root: string): boolean {
  return root !== '/' && !isWithin(home(), root);
}

/** Where the operator's files are; in a container there may be no such place. */
function home(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}

/** What keeps bubblewrap from working, and what to do, from what it printed. */
export function explain(error: unknown): { reason: string; remedy: string } {
  const { stderr } = error as { stderr?: string };
  const said = stderr?.trim().split('\n').at(-1) || describeError(error);
  if (/namespace|uid map|Operation not permitted|loopback/i.test(said)) {
    return {
      reason: `this machine lets no program make user namespaces (${said})`,
      remedy: allowNamespaces(readSysctl),
    };
  }
  return { reason: `bubblewrap does not run Python here (${said})`, remedy: 'see docs/sandbox.md' };
}

/** Which of the switches that forbid user namespaces is on. */
export function allowNamespaces(read: (name: string) => string | undefined): string {
  if (read('kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return 'Ubuntu’s AppArmor forbids them: give bwrap a profile that allows `userns` (docs/sandbox.md), or run `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`';
  }
  if (read('kernel/unprivileged_userns_clone') === '0') return 'run `sysctl -w kernel.unprivileged_userns_clone=1`';
  if (read('user/max_user_namespaces') === '0') return 'run `sysctl -w user.max_user_namespaces=10000`';
  return 'in a container, start it so that it may make them (docs/sandbox.md)';
}

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(join('/proc/sys', name), 'utf8').trim();
  } catch {
    return undefined;
  }
}

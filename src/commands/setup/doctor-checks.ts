/** The doctor's checks of this machine and of the servers that a configuration names. */

import { createServer } from 'node:http';
import { connect } from 'node:net';
import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import { openMode } from '../../app/data-dir';
import { addressBelow, listenAddress } from '../../config/derived';
import type { RoleConfig } from '../../config/schema';
import { fetchJson } from '../../http/fetch-json';
import { refuseInsecure } from '../../http/public-listening';
import { DISK_BYTES, freeBytes, usedBytes } from '../../lib/disk';
import { AppError, describeError, errorCode } from '../../lib/errors';
import { formatBytes } from '../../lib/format-bytes';
import { ReadyAnswer, type ReadyCheck } from '../../protocol/readiness';
import { bestSandbox, sandboxMode } from '../../runner/find-sandbox';
import { findPython, type Python } from '../../runner/python';
import { type FoundPackage, listPackages } from '../../runner/python-packages';
import type { SandboxMode } from '../../runner/sandbox';
import { listDevices } from '../../worker/devices';

/** The outcome of one check. */
export interface Check {
  name: string;
  /** `warning`: works, but something will be slow or may fail later. */
  status: 'ok' | 'warning' | 'failed';
  value: string;
  needed: string;
  /** For programs: an error's code, or `ok`. */
  code: string;
  remedy?: string | undefined;
}

const MIN_MEMORY_BYTES = 2e9;
/** A link's challenge is valid for a minute, and a job's deadline is a time of day. */
const MAX_SKEW_MS = 30_000;
const ANSWER_MS = 10_000;

export function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const check = { name: 'node', value: process.versions.node, needed: '20.19 or newer' };
  if (major > 20 || (major === 20 && minor >= 19)) return ok(check);
  return { ...check, status: 'failed', code: 'doctor/old-node', remedy: 'Install Node 20.19 or newer.' };
}

/** Finds Python with PyTorch, and its version. */
export async function checkPython(configured: string | undefined): Promise<{ check: Check; python?: Python }> {
  let python: Python | undefined;
  const check = await attempt('python', 'Python ≥ 3.10 with PyTorch', async () => {
    python = await findPython(configured);
    return `${python.path} ${python.version}, torch ${python.torch}`;
  });
  return python ? { check, python } : { check };
}

/** Looks at the packages of Python children; failed where one does not load, a warning for other versions. */
export async function checkPackages(python: Python, list = listPackages): Promise<Check> {
  const name = 'packages';
  let found: FoundPackage[] = [];
  const needed = 'those of python/requirements.txt';
  const check = await attempt(name, needed, async () => {
    found = await list(python.path);
    return `${found.length} packages are there, in the versions they are tested in`;
  });
  const remedy = `Run \`npm run setup\`, or \`${python.path} -m pip install -r python/requirements.txt\`.`;
  if (check.status === 'failed') return { ...check, remedy: `${check.remedy} ${remedy}` };
  const broken = found.filter(({ problem }) => problem !== '');
  if (broken.length > 0) {
    const value = broken.map(({ name, problem }) => `${name}: ${problem}`).join('; ');
    return { name, needed, status: 'failed', value, code: 'doctor/package-broken', remedy };
  }
  const others = found.filter(({ isWanted }) => !isWanted);
  if (others.length === 0) return check;
  const value = others.map(({ name, version, wanted }) => `${name} ${version}, tested with ${wanted}`).join('; ');
  return { name, needed, status: 'warning', value, code: 'doctor/other-version', remedy };
}

/** Lists the devices PyTorch finds; failed when the configured one is not among them. */
export async function checkDevice(device: string | undefined, python: Python): Promise<Check> {
  const needed = device ?? 'any; a GPU is faster';
  return attempt('device', needed, async () => {
    const devices = listDevices(device ?? (python.cudaDevices.length > 0 ? 'cuda' : 'cpu'), python);
    return devices.map(({ name, memoryBytes }) => `${name}, ${formatBytes(memoryBytes)}`).join('; ');
  });
}

/** Says how Python children are shut in here; failed when the settings require more, or are none. */
export async function checkSandbox(configured: SandboxMode, python: Python): Promise<Check> {
  const check = { name: 'sandbox', needed: 'bubblewrap around Python' };
  const asked = await attempt(check.name, check.needed, async () => sandboxMode(configured));
  if (asked.status === 'failed') return asked;
  const mode = asked.value;
  if (mode === 'off') {
    const remedy = 'Set sandbox to auto, and unset EMETH_SANDBOX: what strangers send is worked on without walls.';
    return { ...check, value: 'switched off', status: 'warning', code: 'doctor/sandbox-off', remedy };
  }
  const found = await bestSandbox(python.path);
  if (found.level === 'bubblewrap') return ok({ ...check, value: `bubblewrap (${found.system.bwrap})` });
  const { reason, remedy } = found;
  const status = mode === 'require' ? 'failed' : 'warning';
  return { ...check, value: `limits only: ${reason}`, status, code: 'runner/no-sandbox', remedy: sentence(remedy) };
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

export function checkCores(): Check {
  return ok({ name: 'cores', value: String(availableParallelism()), needed: '1 per worker' });
}

export function checkMemory(): Check {
  const bytes = freemem();
  const needed = `${formatBytes(MIN_MEMORY_BYTES)} free`;
  const check = { name: 'memory', value: `${formatBytes(bytes)} free`, needed };
  if (bytes >= MIN_MEMORY_BYTES) return ok(check);
  const remedy = 'Close other programs, or train smaller models.';
  return { ...check, status: 'warning', code: 'doctor/low-memory', remedy };
}

/** Folders of a data directory that grow. */
const GROWING = ['blobs', 'jobs', 'evidence', 'logs'];

/** Checks the free space where the role keeps its state, and tells what takes it already. */
export async function checkDisk(dataDir: string, minFreeBytes: number = DISK_BYTES.least): Promise<Check> {
  const bytes = await freeBytes(dataDir);
  const used = await Promise.all(GROWING.map(async (name) => ({ name, bytes: await usedBytes(join(dataDir, name)) })));
  const parts = used.filter(({ bytes }) => bytes > 0).map(({ name, bytes }) => `${name} ${formatBytes(bytes)}`);
  const taken = parts.length > 0 ? ` (${parts.join(', ')})` : '';
  const good = Math.max(DISK_BYTES.good, minFreeBytes);
  const needed = `${formatBytes(good)} free`;
  const check = { name: 'disk', value: `${formatBytes(bytes)} free for ${dataDir}${taken}`, needed };
  if (bytes >= good) return ok(check);
  const status = bytes >= minFreeBytes ? 'warning' : 'failed';
  return { ...check, status, code: 'doctor/low-disk', remedy: 'Free some space, or choose another --data-dir.' };
}

/** Checks that other accounts of this machine cannot look into the role's files. */
export async function checkPrivacy(dataDir: string): Promise<Check[]> {
  const mode = await openMode(dataDir);
  if (mode === undefined) return [];
  const check = { name: 'privacy', value: `${dataDir} has mode ${mode}`, needed: '0700' };
  const remedy = `Others on this machine can read it until the role starts again; or run: chmod 700 ${dataDir}`;
  return [{ ...check, status: 'warning', code: 'doctor/open-directory', remedy }];
}

/**
 * Checks whether a server answers, and whether its clock agrees with this machine's: every HTTP answer has a
 * date.
 */
export async function checkUrl(name: string, url: string): Promise<Check[]> {
  let skewMs = 0;
  const check = await attempt(name, 'an answer over HTTP', async () => {
    const startedMs = Date.now();
    const { status, headers } = await ask(url);
    const tookMs = Date.now() - startedMs;
    const remoteMs = Date.parse(headers.get('date') ?? '');
    // The server's time is cut to whole seconds and was taken during the request.
    if (!Number.isNaN(remoteMs)) skewMs = Math.max(0, Math.abs(startedMs - remoteMs) - 1000 - tookMs);
    if (status >= 500) throw new AppError({ code: 'doctor/unwell' }, `${url} answers with status ${status}.`);
    return `${url} answers in ${tookMs} ms`;
  });
  if (check.status !== 'ok') return [check];
  const value = `${Math.round(skewMs / 1000)} s from the ${name}'s`;
  const clock = { name: 'clock', value, needed: `≤ ${MAX_SKEW_MS / 1000} s` };
  if (skewMs <= MAX_SKEW_MS) return [check, ok(clock)];
  const remedy = "Set this machine's clock, e.g. with NTP.";
  return [check, { ...clock, status: 'failed', code: 'doctor/clock-skew', remedy }];
}

async function ask(url: string): Promise<Response> {
  try {
    return await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS) });
  } catch (error) {
    // fetch only says that it failed; the reason is in its cause.
    const reason = errorCode((error as Error).cause ?? error);
    throw new AppError(
      { code: 'doctor/unreachable', url, reason },
      `${url} does not answer (${reason}); correct the address, or start the server.`,
    );
  }
}

/** Checks that the address a role listens on is free, or that a role already listens there. */
export async function checkPort({ host, port }: Place, url?: string): Promise<Check> {
  return attempt('port', 'free, or a running node', async () => {
    if (await isFree(host, port)) return `${host}:${port} is free`;
    const answer = await fetch(ownUrl({ host, port }, 'healthz', url), {
      signal: AbortSignal.timeout(ANSWER_MS),
    }).catch(() => undefined);
    if (answer?.ok) return `an Emeth node is running on ${host}:${port}`;
    throw new AppError(
      { code: 'doctor/port-in-use' },
      `Another program listens on ${host}:${port}; stop it, or set listen.`,
    );
  });
}

/** Tells what a daemon that runs on this machine says of itself; nothing when none runs. */
export async function checkReadiness(place: Place, url?: string): Promise<Check[]> {
  const answer = await fetchJson(ownUrl(place, 'readyz', url), { maxBytes: 100_000 }).catch(() => undefined);
  const told = ReadyAnswer.safeParse(answer?.body);
  return (told.data?.checks ?? []).map(({ name, ok: isOk, detail }) => {
    const check = { name: `its ${name}`, value: detail, needed: 'of the running daemon' };
    if (isOk) return ok(check);
    return { ...check, status: 'failed', code: 'doctor/not-ready', remedy: remedies[name] };
  });
}

const remedies: Record<ReadyCheck['name'], string> = {
  store: 'See that its database runs and its disk has room.',
  chain: 'See that the node at `endpoint` answers; its log says more.',
  disk: 'Free some space.',
  jobs: 'Restart it, and report this.',
  bucket: 'See that the service at `s3.endpoint` answers; its log says more.',
};

/** Checks that others reach the server by TLS only, or that somebody took care of that elsewhere. */
export async function checkListening(
  config: Pick<RoleConfig<'master' | 'board'>, 'my_url' | 'listen' | 'trustProxy'>,
): Promise<Check> {
  const { listen, trustProxy } = config;
  const { host } = listenAddress(config);
  return attempt('listening', 'TLS, a proxy, or this machine alone', async () => {
    if (listen.certFile) return `TLS on ${host}`;
    refuseInsecure({ host, trustProxy, insecure: listen.insecure });
    return `plain HTTP on ${host}`;
  });
}

interface Place {
  host: string;
  port: number;
}

/** A server that speaks TLS itself is asked under the name of its certificate. */
function ownUrl({ host, port }: Place, path: string, url?: string): string {
  if (url) return addressBelow(url, path).href;
  return `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}/${path}`;
}

/** Checks that a database server accepts connections; its tables are the business of `emeth db-init`. */
export async function checkDatabase({ host, port }: { host: string; port: number }): Promise<Check> {
  return attempt('database', 'a server that accepts connections', async () => {
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host, port, timeout: ANSWER_MS });
      socket.once('timeout', () => socket.destroy(new Error(`${host}:${port} does not answer`)));
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.destroy();
        resolve();
      });
    });
    return `${host}:${port} accepts connections`;
  });
}

/** Runs a check that throws when something is wrong. */
export async function attempt(name: string, needed: string, work: () => Promise<string>): Promise<Check> {
  try {
    return ok({ name, value: await work(), needed });
  } catch (error) {
    const remedy = describeError(error);
    return { name, status: 'failed', value: 'not usable', needed, code: errorCode(error), remedy };
  }
}

function ok(check: Pick<Check, 'name' | 'value' | 'needed'>): Check {
  return { ...check, status: 'ok', code: 'ok' };
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

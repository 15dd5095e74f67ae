/** A program in the place of the Python child tries to reach its owner's files, programs and rights. */
import { type ChildProcessByStdio, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { defaultLimits } from '../../../src/runner/child-limits';
import { type Enclosure, enclose, noWalls } from '../../../src/runner/enclose';
import { bestSandbox } from '../../../src/runner/find-sandbox';
import { pythonPackageDir } from '../../../src/runner/python';
import { makeSetuid, NOBODY, openOutside } from '../../support/outside';
import { openScratch } from '../../support/scratch';
import { realPython, tinyParams } from '../../support/tiny-job';
import { until } from '../../support/until';

jest.setTimeout(120_000);

const limits = { ...defaultLimits, memoryBytes: 2 ** 30, processes: 128 };
const own = process.getuid?.() ?? 0;
/** What only root may do anyway. */
const ROOTS = [
  'mount',
  'make a device',
  'open a disk',
  'change the kernel',
  'leave its control group',
  'enter the network of another process',
  'change its own code',
  'change the interpreter',
  'write into the root directory',
  'signal the node',
];
/** What some machines do not have: the same root for all processes, and the magic key. */
const RARE = ['read through the root of the first process', 'ask the kernel by its magic key'];
/** What root need not do by a trick. */
const USERS = ['become another user by a program'];

/** As whom the program runs: root and an ordinary user where the tests run as root, else this user. */
const accounts =
  own === 0 ? [['root', 0] as const, ['an ordinary user', NOBODY] as const] : [['this user', own] as const];

describe.each(accounts)('a program that runs as %s', (_name, uid) => {
  test('default: shut in, no attempt succeeds of those that do without walls', async () => {
    await using bare = await tryAll(uid, false);
    await using shut = await tryAll(uid, true);
    const others = [LEFT, ...RARE, ...(uid === 0 ? [] : ROOTS), ...(uid !== 0 && own === 0 ? [] : USERS)];
    const expected = Object.keys(bare.gained).filter((name) => !others.includes(name));
    expect(expected.length).toBeGreaterThan(25);
    expect(expected.filter((name) => !bare.gained[name])).toEqual([]);
    expect(successes(shut.gained)).toEqual([]);
    expect(Object.keys(shut.gained)).toEqual(Object.keys(bare.gained));
    expect(processesNaming(bare.left)).not.toEqual([]);
    for (const pid of processesNaming(bare.left)) process.kill(pid, 'SIGKILL');
    await until(async () => processesNaming(shut.left).length === 0);
  });
});

/** Looked for from outside. */
const LEFT = 'leave a process behind';

interface Tried extends AsyncDisposable {
  gained: Record<string, boolean>;
  /** An argument of the process that was left behind. */
  left: string;
}

/** Runs all attempts in a data directory of their own. */
async function tryAll(uid: number, isShut: boolean): Promise<Tried> {
  const scratch = await openScratch();
  chmodSync(scratch.path, 0o755);
  const dir = scratch.file('data');
  const outside = await openOutside(dir, uid);
  const { secret } = outside.facts as { secret: string };
  process.env.LEAKED = secret;
  const workDir = scratch.file('data/jobs/own');
  const base = makeBase(scratch.file('data/bases/list'), uid);
  using enclosure = await encloseProgram({ workDir, base }, isShut ? dir : undefined, uid);
  delete process.env.LEAKED;
  // Another account cannot look into the home of this one.
  const packageDir = uid === own ? pythonPackageDir : scratch.file('python');
  if (uid !== own) cpSync(pythonPackageDir, packageDir, { recursive: true });
  const moved = (part: string) => part.replaceAll(pythonPackageDir, packageDir);
  const handed = enclosure.handed?.dir ?? scratch.file('data/handed');
  mkdirSync(handed, { recursive: true });
  writeFileSync(scratch.file('data/blobs/ab/handed'), 'a blob');
  for (const name of ['blob', 'removable']) linkSync(scratch.file('data/blobs/ab/handed'), `${handed}/${name}`);
  for (const path of [workDir, `${dir}/handed`, handed, `${handed}/blob`]) chownSync(path, uid, uid);
  const facts = {
    ...outside.facts,
    ...limits,
    workDir,
    base,
    handed: `${handed}/blob`,
    package: join(packageDir, 'emeth', '__main__.py'),
    setuid: makeSetuid(`${workDir}/id`),
    left: `left-${secret}`,
    fd: 5,
  };
  const [command = '', ...args] = [...enclosure.command.map(moved), JSON.stringify(facts)];
  const env = { ...enclosure.env, PYTHONPATH: packageDir };
  await using key = await open(join(dir, 'key'));
  const stdio = ['ignore', 'pipe', 'pipe', 'ignore', 'ignore', key.fd] as StdioOptions;
  const child = spawn(command, args, { uid, gid: uid, env, stdio, detached: true }) as ChildProcessByStdio<
    null,
    Readable,
    Readable
  >;
  const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  await outside[Symbol.asyncDispose]();
  if (out === '') throw new Error(`The program did not end well: ${errors}`);
  // Inside, there may be an empty directory of the same name.
  const gained = { ...JSON.parse(out), 'write into the data directory': existsSync(`${dir}/planted`) };
  return { gained, left: facts.left, [Symbol.asyncDispose]: scratch[Symbol.asyncDispose] };
}

/** Makes the files of a base as they lie in a data directory: nobody has to write to them. */
function makeBase(path: string, uid: number): string {
  mkdirSync(path, { recursive: true });
  for (const name of ['config.json', 'model.safetensors']) writeFileSync(join(path, name), '{}', { mode: 0o444 });
  for (const one of [path, join(path, 'config.json'), join(path, 'model.safetensors')]) chownSync(one, uid, uid);
  return path;
}

/** Returns how to start the program: with `dir`, as a Python child of that data directory is started. */
async function encloseProgram(
  places: { workDir: string; base: string },
  dir: string | undefined,
  uid: number,
): Promise<Enclosure> {
  const script = await readFile(join(pythonPackageDir, 'tests', 'escape.py'), 'utf8');
  const python = uid === own ? realPython : '/usr/bin/python3';
  const job = { jobId: 'test', params: tinyParams };
  const spec = { kind: 'coordinate', device: 'cpu', threads: 1, ...job, ...places } as const;
  if (dir === undefined) return enclose(spec, python, noWalls, ['-c', script]);
  const sandbox = await bestSandbox(python);
  if (sandbox.level !== 'bubblewrap') throw new Error(`There is no sandbox here: ${sandbox.reason}`);
  // Groups are root's; an ordinary account has rlimits instead.
  const account = jest.spyOn(process, 'getuid' as never).mockReturnValue(uid as never);
  try {
    return enclose(spec, python, { sandbox, limits, dir }, ['-c', script]);
  } finally {
    account.mockRestore();
  }
}

function successes(gained: Record<string, boolean>): string[] {
  return Object.keys(gained).filter((name) => gained[name]);
}

function processesNaming(argument: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readCommand(pid).includes(argument));
}

function readCommand(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it has ended
  }
}

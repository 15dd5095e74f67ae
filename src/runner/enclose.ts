/** Puts the walls of a machine around one Python child: its command, variables, and the files it may read. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainerSpec } from '../protocol/trainer';
import { type ChildLimits, limitVariables } from './child-limits';
import { openControlGroup } from './control-group';
import { GPU_SYS, type Sandbox } from './find-sandbox';
import { HandedFiles } from './handed-files';
import { pythonPackageDir } from './python';
import { allowedVariables, gpuDevices, insideVariables, sandboxCommand } from './sandbox';

/** How the children of one process are shut in. */
export interface Walls {
  sandbox: Sandbox;
  limits: ChildLimits;
  /** The data directory, which is hidden from children; best on the disk of what they read. */
  dir: string;
  /** Free space on the disk below which a child is stopped. */
  floorBytes?: number | undefined;
}

/** How to start one child, and what to put away when it has ended. */
export interface Enclosure extends Disposable {
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  /** Hands files to a child that sees only its own. */
  handed?: HandedFiles | undefined;
}

/** The folder of the data directory in which files are handed to children. */
export const HANDED = 'handed';

export const noWalls: Pick<Walls, 'sandbox'> = { sandbox: { level: 'off' } };

/** Makes the child's directory, and returns how to start an interpreter for a spec. */
export function enclose(
  spec: TrainerSpec,
  python: string,
  walls: Walls | typeof noWalls,
  args: readonly string[] = ['-m', 'emeth'],
): Enclosure {
  mkdirSync(spec.workDir, { recursive: true });
  const program = [python, ...args];
  if (!('dir' in walls)) return { command: program, env: openVariables(spec), [Symbol.dispose]: () => undefined };
  const group = openControlGroup(walls.limits);
  const inside = walls.sandbox.level === 'bubblewrap' ? inBubblewrap(spec, walls.sandbox, walls.dir, args) : undefined;
  const command = inside?.command ?? program;
  return {
    command: process.platform === 'linux' ? begin(command, group?.enter ?? ':') : command,
    env: { ...allowedVariables(process.env), ...limitVariables(walls.limits), ...fixed(spec.threads), ...inside?.env },
    handed: inside?.handed,
    [Symbol.dispose]() {
      inside?.handed.remove();
      group?.[Symbol.dispose]();
    },
  };
}

/** When memory runs out, the child is to be killed before the node and what else runs here. */
function begin(program: readonly string[], enter: string): string[] {
  return [
    '/bin/sh',
    '-c',
    `{ echo 800 >/proc/self/oom_score_adj; } 2>/dev/null; ${enter} && exec "$0" "$@"`,
    ...program,
  ];
}

function inBubblewrap(
  spec: TrainerSpec,
  { system, executable }: Extract<Sandbox, { level: 'bubblewrap' }>,
  dir: string,
  args: readonly string[],
) {
  const { workDir } = spec;
  mkdirSync(join(dir, HANDED), { recursive: true });
  const handed = new HandedFiles(mkdtempSync(join(dir, HANDED, 'to-')), workDir);
  const usesGpu = spec.device !== 'cpu';
  const view = {
    workDir,
    hidden: dir,
    reads: [handed.dir, ...givenFiles(spec), ...(usesGpu ? GPU_SYS.filter((path) => existsSync(path)) : [])],
    devices: usesGpu ? gpuDevices(readdirSync('/dev')) : [],
    hasNetwork: 'team' in spec && spec.team !== undefined,
  };
  const command = sandboxCommand(system, view, [executable, ...args]);
  return { command, handed, env: insideVariables };
}

/** What a spec itself asks to be read; everything else comes with a command. */
function givenFiles(spec: TrainerSpec): string[] {
  switch (spec.kind) {
    case 'count':
      return [spec.dataset, ...present(spec.base)];
    case 'generate':
    case 'gguf':
      return [spec.directory, ...present(spec.base)].flatMap(withTargets);
    case 'measure':
      return [spec.dataset, ...[spec.directory, ...present(spec.base)].flatMap(withTargets)];
    case 'bench':
    case 'member':
      return [];
    default:
      return present(spec.base);
  }
}

/** A directory, and what links in it lead to: the hub's cache keeps files elsewhere, under their hashes. */
function withTargets(dir: string): string[] {
  const entries = existsSync(dir) ? readdirSync(dir, { withFileTypes: true }) : [];
  const links = entries.filter((entry) => entry.isSymbolicLink()).map(({ name }) => join(dir, name));
  return [dir, ...links.filter((path) => existsSync(path)).map((path) => realpathSync(path))];
}

const present = (path: string | undefined) => (path === undefined ? [] : [path]);

/** All variables but EMETH_ settings, which may hold keys and passwords that the child does not need. */
function openVariables(spec: TrainerSpec): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('EMETH_'));
  return { ...Object.fromEntries(inherited), ...fixed(spec.threads) };
}

function fixed(threads: number): NodeJS.ProcessEnv {
  const counts = threads > 0 ? { OMP_NUM_THREADS: String(threads), MKL_NUM_THREADS: String(threads) } : {};
  const path = [pythonPackageDir, process.env.PYTHONPATH].filter(Boolean).join(':');
  // In UTF-8 mode, file names and output mean to Python what they mean here, whatever the locale.
  return { ...counts, PYTHONPATH: path, PYTHONUNBUFFERED: '1', PYTHONUTF8: '1', TOKENIZERS_PARALLELISM: 'false' };
}

/** The walls around a Python child: what bubblewrap is told to show it, and nothing else. Pure. */
import { join } from 'node:path';
import { isWithin } from '../lib/paths';

/** What the operator asks for. */
export type SandboxMode = 'require' | 'auto' | 'off';

/** What every child of this machine sees of it, found out once. All of it is read-only inside. */
export interface SystemView {
  /** Path of the `bwrap` program. */
  bwrap: string;
  /** Whether this bubblewrap (0.8 or newer) bounds its tmpfs and forbids nested user namespaces. */
  isRecent: boolean;
  /** Directories and files of system and interpreter. */
  reads: readonly string[];
  /** Symbolic links of the root directory, as `/bin` → `usr/bin`. */
  links: readonly (readonly [path: string, target: string])[];
  /** Files that take the place of the machine's own. */
  replaced: readonly (readonly [path: string, source: string])[];
}

/** What one child sees besides. */
export interface ChildView {
  /** The only directory it can write to. */
  workDir: string;
  /** Files and directories it can read. */
  reads: readonly string[];
  /** A directory it must not see, wherever it lies. */
  hidden: string;
  /** Device files of GPUs. */
  devices: readonly string[];
  /** Whether it meets processes of other boxes, and so has the network of this one. */
  hasNetwork?: boolean | undefined;
}

/** Bytes of the child's own /tmp, and of its /dev/shm, which NCCL uses between GPUs. Both are memory. */
const TMP_BYTES = 256 * 2 ** 20;
const SHM_BYTES = 2 ** 30;
const ID = '1000';

/** Returns the command that runs a program inside the walls. */
export function sandboxCommand(system: SystemView, child: ChildView, program: readonly string[]): string[] {
  const { workDir, devices, hidden } = child;
  const reads = outermost(system.reads);
  // Somebody may keep data beside an interpreter.
  const isShown = reads.some((path) => isWithin(hidden, path));
  const sized = (bytes: number) => (system.isRecent ? ['--size', String(bytes)] : []);
  return [
    system.bwrap,
    ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
    ...(child.hasNetwork ? [] : ['--unshare-net']),
    ...(system.isRecent ? ['--disable-userns'] : []),
    // In a session of its own it can neither signal the group of its parent nor type into a terminal.
    ...['--die-with-parent', '--new-session', '--uid', ID, '--gid', ID, '--hostname', 'emeth'],
    ...['--proc', '/proc', '--dev', '/dev'],
    ...[...sized(SHM_BYTES), '--tmpfs', '/dev/shm', ...sized(TMP_BYTES), '--tmpfs', '/tmp'],
    ...system.links.flatMap(([path, target]) => ['--symlink', target, path]),
    ...reads.flatMap((path) => ['--ro-bind', path, path]),
    ...(isShown ? ['--tmpfs', hidden] : []),
    ...child.reads.flatMap((path) => ['--ro-bind', path, path]),
    ...system.replaced.flatMap(([path, source]) => ['--ro-bind', source, path]),
    ...devices.flatMap((path) => ['--dev-bind', path, path]),
    ...['--bind', workDir, workDir],
    // Root outside is the owner of /proc/sys inside as well; what is writable of the others is memory.
    ...(isShown ? ['--remount-ro', hidden] : []),
    ...['--remount-ro', '/proc', '--remount-ro', '/dev', '--remount-ro', '/', '--chdir', '/'],
    '--',
    ...program,
  ];
}

/** Leaves out paths that lie inside others. */
export function outermost(paths: readonly string[]): string[] {
  const unique = [...new Set(paths)];
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(path, other)));
}

/** Variables that say where programs and libraries are, how numbers are computed, and in which words. */
const KEPT = [
  /^(PATH|LANG|LANGUAGE|TZ|LD_LIBRARY_PATH)$/,
  /^(LC|CUDA|NVIDIA|NCCL|HIP|HSA|ROCR|MIOPEN|GPU)_/,
  /^(OMP|MKL|OPENBLAS|KMP|GOMP|ATEN|DNNL|ONEDNN|TORCH|PYTORCH|TORCHDYNAMO|TORCHINDUCTOR|GLOO)_/,
];

/** Returns the variables that a child gets of its parent's: none that may be a secret. */
export function allowedVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => KEPT.some((pattern) => pattern.test(name))));
}

/** What only holds inside bubblewrap: a home. */
export const insideVariables: NodeJS.ProcessEnv = { HOME: '/tmp', TMPDIR: '/tmp', USER: 'emeth', LOGNAME: 'emeth' };

/** Device files that GPUs need: NVIDIA's, AMD's, and those of Windows' Linux subsystem. */
export function gpuDevices(names: readonly string[]): string[] {
  const isGpu = (name: string) => /^(nvidia(\d+|ctl|-uvm|-uvm-tools|-caps|-modeset)|kfd|dri|dxg)$/.test(name);
  return names.filter(isGpu).map((name) => join('/dev', name));
}

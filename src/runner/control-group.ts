/** Control groups, which hold all processes of a child together to a limit; only root may make them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChildLimits } from './child-limits';

/** The control group of one child. */
export interface ControlGroup extends Disposable {
  /** What a shell runs to be in the group, with all that it becomes. */
  readonly enter: string;
}

const ROOT = '/sys/fs/cgroup';
const REMOVAL_MS = 50;
const REMOVAL_TRIES = 40;
let opened = 0;

/**
 * Opens a group for one child. Root needs one, because the kernel holds root to no rlimit of processes.
 * Undefined for other accounts, and where groups cannot be made, as in most containers.
 */
export function openControlGroup({ memoryBytes, processes }: ChildLimits): ControlGroup | undefined {
  const parents = findParents();
  if (parents.length === 0) return undefined;
  const limits = { 'pids.max': processes, 'memory.max': memoryBytes, 'memory.limit_in_bytes': memoryBytes };
  const name = `emeth-${process.pid}-${opened++}`;
  const dirs = parents.map((parent) => join(parent, name)).filter((dir) => make(dir, limits));
  if (dirs.length === 0) return undefined;
  return {
    enter: dirs.map((dir) => `echo $$ >'${dir}/cgroup.procs'`).join(' && '),
    [Symbol.dispose]() {
      for (const dir of dirs) void remove(dir);
    },
  };
}

/** Removes the groups of nodes that were killed. */
export function sweepControlGroups(): void {
  for (const parent of findParents()) {
    for (const name of existsSync(parent) ? readdirSync(parent) : []) {
      const pid = /^emeth-(\d+)-\d+$/.exec(name)?.[1];
      if (pid !== undefined && !existsSync(`/proc/${pid}`)) void remove(join(parent, name));
    }
  }
}

function findParents(): string[] {
  if (process.getuid?.() !== 0 || !existsSync('/proc/self/cgroup')) return [];
  const isVersion2 = existsSync(join(ROOT, 'cgroup.controllers'));
  return groupParents(readFileSync('/proc/self/cgroup', 'utf8'), { isVersion2, read });
}

/**
 * Returns the directories in which this process's children may get groups, from its `/proc/self/cgroup`. In
 * version 1 they are its own groups, so that their limits count too. In version 2 a group with processes has
 * no groups with limits inside, so it is the one around, unless the own one has limits that would not count
 * there.
 */
export function groupParents(
  own: string,
  { isVersion2, read }: { isVersion2: boolean; read(path: string): string | undefined },
): string[] {
  const isLimited = (dir: string) =>
    ['memory.max', 'memory.high', 'cpu.max'].some((file) => !(read(join(dir, file)) ?? 'max').startsWith('max'));
  return own.split('\n').flatMap((line) => {
    const [, controller = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (!isVersion2) return controller === 'pids' || controller === 'memory' ? [join(ROOT, controller, path)] : [];
    return controller === '' && path !== '' && !isLimited(join(ROOT, path)) ? [join(ROOT, dirname(path))] : [];
  });
}

function read(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** Makes a group with those of the limits that its parent lets it have; false when there are none. */
function make(dir: string, limits: Readonly<Record<string, number>>): boolean {
  try {
    mkdirSync(dir);
  } catch {
    return false;
  }
  const known = Object.entries(limits).filter(([file]) => existsSync(join(dir, file)));
  try {
    for (const [file, value] of known) writeFileSync(join(dir, file), String(value));
    if (known.length > 0) return true;
  } catch {
    // a limit that cannot be set; the group goes
  }
  void remove(dir);
  return false;
}

/** A group can only be removed once its last process is gone, a moment after the child. */
async function remove(dir: string): Promise<void> {
  for (let tries = 0; tries < REMOVAL_TRIES && existsSync(dir); tries++) {
    try {
      rmdirSync(dir);
    } catch {
      await delay(REMOVAL_MS);
    }
  }
}

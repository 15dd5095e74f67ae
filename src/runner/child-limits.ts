/** How much of a machine one Python child may take, as rlimits of each of its processes. */
import { totalmem } from 'node:os';

/** What one child, with all its processes, may take. */
export interface ChildLimits {
  memoryBytes: number;
  /** Processes and threads. */
  processes: number;
}

export const defaultLimits: ChildLimits = { memoryBytes: totalmem(), processes: 8192 };

const OPEN_FILES = 16_384;
/** Of one file; `watchDisk` sees to all of them together. */
const FILE_BYTES = 2 ** 38;

/**
 * Returns what the child sets as its rlimits before it reads anything (`python/emeth/wire/limits.py`). Memory
 * is that of data: CUDA reserves far more address space than it ever uses.
 */
export function limitVariables({ memoryBytes, processes }: ChildLimits): NodeJS.ProcessEnv {
  const limits = { DATA: memoryBytes, NPROC: processes, NOFILE: OPEN_FILES, FSIZE: FILE_BYTES, CORE: 0 };
  return { EMETH_LIMITS: JSON.stringify(limits) };
}

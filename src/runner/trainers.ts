/** The Python children of one role or command: its interpreter, and the walls around each child. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../lib/logger';
import type { TrainerSpec } from '../protocol/trainer';
import { defaultLimits } from './child-limits';
import { sweepControlGroups } from './control-group';
import { childFloorBytes } from './disk-watch';
import { HANDED } from './enclose';
import { findSandbox, type Sandbox } from './find-sandbox';
import { findPython, type Python } from './python';
import type { SandboxMode } from './sandbox';
import { openTrainer, type Trainer } from './trainer';

export interface ShutInOptions {
  /** The data directory; hidden from children but for their own directory in it. */
  dir: string;
  sandbox?: SandboxMode | undefined;
  /** What the role keeps free of the disk. */
  minFreeBytes?: number | undefined;
  limits?: { memoryBytes?: number | undefined; processes?: number | undefined } | undefined;
}

/** Starts Python children, each with the job's own directory as the only one it can write to. */
export interface Trainers {
  readonly sandbox: Sandbox;
  open(spec: TrainerSpec): Trainer;
}

/**
 * Finds the interpreter and how its children can be shut in here, and says so once. Throws `PythonError` and
 * `runner/no-sandbox`.
 */
export async function openTrainers(
  { python: configured, ...options }: ShutInOptions & { python?: string | undefined },
  logger: Logger,
): Promise<Trainers & { python: Python }> {
  const python = await findPython(configured);
  return { python, ...(await shutIn(python.path, options, logger)) };
}

/** As `openTrainers` with an interpreter that may lack PyTorch. */
export async function shutIn(
  python: string,
  { dir, sandbox: mode = 'auto', minFreeBytes, limits = {} }: ShutInOptions,
  logger: Logger,
): Promise<Trainers> {
  const sandbox = await findSandbox(mode, python);
  tell(sandbox, logger);
  // Left by a process that was killed.
  rmSync(join(dir, HANDED), { recursive: true, force: true });
  if (sandbox.level !== 'off') sweepControlGroups();
  const { memoryBytes = defaultLimits.memoryBytes, processes = defaultLimits.processes } = limits;
  const floorBytes = childFloorBytes(minFreeBytes);
  const walls = sandbox.level === 'off' ? undefined : { sandbox, limits: { memoryBytes, processes }, dir, floorBytes };
  return { sandbox, open: (spec) => openTrainer(spec, { python, logger, walls }) };
}

function tell(sandbox: Sandbox, logger: Logger): void {
  switch (sandbox.level) {
    case 'bubblewrap':
      logger.info('Python children are shut in by bubblewrap');
      return;
    case 'limits': {
      const { reason, remedy } = sandbox;
      logger.warn('Python children have limits, but no sandbox', { reason, remedy });
      return;
    }
    case 'off':
      logger.info('Python children have no sandbox, as it is switched off');
  }
}

/** Named moments in a job's life at which a test ends, halts or fails this process. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode } from './errors';

/** Every point, by the room that passes it, in the order of a job's life. */
export const crashPoints = {
  master: [
    'events.recorded',
    'events.stored',
    'job.claimed',
    'dataset.fetched',
    'data.prepared',
    'weights.written',
    'plan.stored',
    'process.mined',
    'training.begun',
    'round.opened',
    'lease.stored',
    'shard.cut',
    'lease.granted',
    'commit.arrived',
    'update.fetched',
    'update.judged',
    'update.committed',
    'verdict.sent',
    'fold.computed',
    'fold.written',
    'fold.stored',
    'fold.checked',
    'fold.final',
    'receipts.sent',
    'training.done',
    'model.evaluated',
    'model.exported',
    'manifest.written',
    'result.published',
    'result.stored',
    'submit.mined',
    'verdict.seen',
    'pay.mined',
  ],
  sender: ['intent.stored', 'intent.signed', 'intent.sent', 'receipt.found', 'intent.noted'],
  worker: [
    'child.ready',
    'lease.taken',
    'shard.received',
    'theta.located',
    'round.trained',
    'update.stored',
    'commit.sent',
    'lease.settled',
    'receipt.kept',
  ],
  /** Of jobs that start from a base only: for each blob of it that a worker has fetched. */
  base: ['base.fetched'],
  verifier: ['manifest.held', 'model.fetched', 'replay.done', 'verdict.reached', 'verdict.sending'],
} as const;

export type CrashPoint = (typeof crashPoints)[keyof typeof crashPoints][number];

/** The directory in which a test arms points; no operator sets it. */
const VARIABLE = 'EMETH_CRASH_POINTS';

/**
 * Passes the point. A file of its name in the directory arms it: `kill` ends this process as `kill -9` does,
 * `stop` halts it until SIGCONT, `throw` makes the point throw what nobody expects; `kill 3` means the third
 * passing, by whichever process. Once met, the file is called `<name>.met` and holds the id of the process.
 */
export function crashPoint(name: CrashPoint): void {
  const dir = process.env[VARIABLE];
  if (dir !== undefined) pass(join(dir, name), name);
}

function pass(file: string, name: CrashPoint): void {
  const [act, passings = '1'] = (readIfThere(file) ?? '').split(' ');
  if (!act) return;
  if (Number(passings) > 1) return writeFileSync(file, `${act} ${Number(passings) - 1}`);
  writeFileSync(file, `${act} ${process.pid}`);
  renameSync(file, `${file}.met`);
  if (act === 'throw') throw new Error(`The point ${name} fails as a test wished.`);
  process.kill(process.pid, act === 'stop' ? 'SIGSTOP' : 'SIGKILL');
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

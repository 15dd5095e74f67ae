/** Takes away what a master needs in each state of a job, and measures how soon the job goes on then. */
import { setTimeout as delay } from 'node:timers/promises';
import type { JobId } from '../../src/domain/ids';
import type { CrashPoint } from '../../src/lib/crash-point';
import type { JobDetails } from '../../src/protocol/admin';
import type { ChaosProxy } from './chaos-proxy';
import type { CrashRun } from './crash-run';
import type { Network } from './network';

/** Something a master needs, which can be taken away and given back. */
export interface Supply {
  take(): void | Promise<void>;
  giveBack(): void | Promise<void>;
}

/** Where a job is halted to take something away: one point in each of its states. */
const POINTS = [
  ['claimed', 'dataset.fetched'],
  ['preparing', 'plan.stored'],
  ['training', 'training.begun'],
  ['a round', 'update.fetched'],
  ['exporting', 'training.done'],
  ['submitting', 'result.stored'],
  ['submitted', 'submit.mined'],
] as const satisfies readonly (readonly [string, CrashPoint])[];

/** How long the job took to go on after the supply had come back. */
export interface Recovery {
  state: string;
  backMs: number;
}

/** A server behind a proxy. */
export function supplyBehind(proxy: ChaosProxy): Supply {
  return {
    take() {
      proxy.refuse(true);
      proxy.cut();
    },
    giveBack: () => proxy.refuse(false),
  };
}

/** Takes the supply away for so long in each state of one job, and waits for the job's end. */
export async function outageInEachState(
  network: Network,
  crashes: CrashRun,
  { supply, outageMs, request }: { supply: Supply; outageMs: number; request(): Promise<JobId> },
): Promise<{ jobId: JobId; job: JobDetails; recoveries: Recovery[] }> {
  const recoveries: Recovery[] = [];
  let halted = crashes.halt(POINTS[0][1]);
  const jobId = await request();
  for (const [i, [state]] of POINTS.entries()) {
    const goOn = await halted;
    const next = POINTS[i + 1];
    if (next) halted = crashes.halt(next[1]);
    await supply.take();
    goOn();
    await delay(outageMs);
    await supply.giveBack();
    const sinceMs = Date.now();
    // The next point is in a later state, so reaching it shows that the job goes on.
    if (next) await halted;
    else await network.until(jobId, 'The job does not end', ({ state: now }) => now === 'verified');
    recoveries.push({ state, backMs: Date.now() - sinceMs });
  }
  return { jobId, job: await network.admin.job(jobId), recoveries };
}

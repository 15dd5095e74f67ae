/** A whole job over slow links, for `home-link.ts`: how long it took to its loss, and what it sent. */
import { setTimeout as delay } from 'node:timers/promises';
import type { JobId } from '../../src/domain/ids';
import type { JobDetails } from '../../src/protocol/admin';
import type { ResolvedParams } from '../../src/protocol/job-params';
import type { ChaosProxy } from '../../test/support/chaos-proxy';
import { type Network, startNetwork } from '../../test/support/network';
import { plannedParams } from '../../test/support/planned-params';
import { realPython as python } from '../../test/support/tiny-job';
import { tell } from './report';

const LOOK_MS = 200;
const DONE = ['submitted', 'verified'];
const LOST = ['failed', 'declined', 'skipped'];
/** As a master's own settings are, but for a machine that others use too. */
const ROUND = { leaseMs: 1_800_000, graceMs: 10_000, resumeMs: 3_000 };

export interface OurRun {
  params: ResolvedParams;
  blocks: number;
  rounds: number;
  /** On held-out sequences, after the last round. */
  loss: number;
  /** From the first lease until that loss was known. */
  secondsToLoss: number;
  tokensPerSecond: number;
  /** Of all that went through the link after the first round; before, the first weights do. */
  bytesPerToken: number;
  /** The part of its time in the job that each worker computed. */
  utilisation: number[];
  /** Seconds and loss of each round. */
  curve: { round: number; seconds: number; loss: number | undefined }[];
}

/** When a fold was first seen, and what had gone through the link by then. */
interface Mark {
  round: number;
  seconds: number;
  loss: number | undefined;
  mergedBlocks: number;
  bytes: number;
}

/** Runs the job; its workers reach the master through the proxy. */
export async function runOurs(work: {
  dataset: string;
  /** As a requester writes them. */
  params: object;
  workers: number;
  proxy: ChaosProxy;
}): Promise<OurRun> {
  const { workers, proxy } = work;
  const params = plannedParams(work.params);
  const roles = { master: { python, round: ROUND, heartbeatMs: 10_000 }, worker: { python }, verifier: { python } };
  await using network = await startNetwork({ workers, workerProxy: proxy, ...roles });
  const { jobId } = await request(network, work.dataset, work.params);
  const bytes = () => proxy.passed.toServer + proxy.passed.toClient;
  const { marks, utilisation } = await follow(network, jobId, bytes);
  const [first, last] = [marks[0], marks.at(-1)];
  if (first === undefined || last?.loss === undefined) throw new Error('The job ended without a loss');
  const tokens = (blocks: number) => blocks * params.batch * params.model.context;
  return {
    params,
    blocks: last.mergedBlocks,
    rounds: marks.length,
    loss: last.loss,
    secondsToLoss: last.seconds,
    tokensPerSecond: tokens(last.mergedBlocks) / last.seconds,
    bytesPerToken: (last.bytes - first.bytes) / tokens(last.mergedBlocks - first.mergedBlocks),
    utilisation,
    curve: marks.map(({ round, seconds, loss }) => ({ round, seconds, loss })),
  };
}

async function request({ parties, command }: Network, dataset: string, params: object) {
  const options = ['--dataset', dataset, '--fee', '20emt', '--deadline', '12h', '--params', JSON.stringify(params)];
  return (await command(parties.requester, 'request', ...options)) as { jobId: JobId };
}

/** Looks at the job until it is submitted. */
async function follow(network: Network, jobId: JobId, bytes: () => number) {
  const marks = new Map<number, Mark>();
  let utilisation: number[] = [];
  let startedMs: number | undefined;
  for (;;) {
    await delay(LOOK_MS);
    const job = await network.admin.job(jobId).catch(() => undefined);
    if (!job) continue;
    if (LOST.includes(job.state)) throw new Error(`The job ended ${job.state}: ${job.reason}`);
    if (job.state === 'training') startedMs ??= performance.now();
    const seconds = (performance.now() - (startedMs ?? performance.now())) / 1000;
    note(job, marks, seconds, bytes());
    if (job.state === 'training' && job.workers.length > 0) utilisation = utilisationOf(job);
    if (DONE.includes(job.state)) return { marks: [...marks.values()], utilisation };
  }
}

/** Keeps when each round was folded, and its loss once that is known. */
function note(job: JobDetails, marks: Map<number, Mark>, seconds: number, bytes: number): void {
  const mergedBlocks = job.progress?.mergedBlocks ?? 0;
  for (const { round, state, validationLoss: loss } of job.rounds) {
    const mark = marks.get(round);
    if (state !== 'folded' || mark?.loss !== undefined) continue;
    if (mark === undefined) tell(`round ${round}: folded after ${seconds.toFixed(1)} s, ${mergedBlocks} blocks`);
    if (mark === undefined) marks.set(round, { round, seconds, loss, mergedBlocks, bytes });
    else if (loss !== undefined) Object.assign(mark, { loss, seconds });
  }
}

function utilisationOf({ workers }: JobDetails): number[] {
  return workers.flatMap((worker) => worker.utilisation ?? []);
}

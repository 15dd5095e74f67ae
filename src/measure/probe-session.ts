/** One probe of one worker: its runs, one after the other, timed by this master's clock. */
import { randomInt } from 'node:crypto';
import type { Address } from '../domain/ids';
import { PROBE_BATCH, type ProbePlan, probeModels, probeParameters, probeSpeed } from '../domain/probe';
import type { Assignment } from '../fleet/assignment';
import { describeError } from '../lib/errors';
import { Mailbox } from '../lib/mailbox';
import type { WorkerMessage } from '../protocol/link';
import type { MeasureDeps } from './ports';

type ProbeDone = Extract<WorkerMessage, { type: 'probe.done' }>;
type ProbeEvent = ProbeDone | Extract<WorkerMessage, { type: 'probe.failed' }> | { type: 'gone'; reason: string };

/** A finished run that is still to be checked: its update is in the blob store. */
export interface ProbeWork {
  worker: Address;
  probeId: string;
  plan: ProbePlan;
  seed: number;
  done: ProbeDone;
  gflops: number;
}

/** How a probe ended on the worker's side. */
export type ProbeEnd = { kind: 'timed'; work: ProbeWork } | ProbeFailure;

type ProbeFailure =
  /** The worker was wanted elsewhere, or left; it says nothing about the worker. */
  | { kind: 'unfinished'; reason: string }
  /** The worker cannot do it, or (`isFault`) gave no answer, no update, or one that cannot be right. */
  | { kind: 'bad'; reason: string; isFault: boolean };

/** Milliseconds a run may take. At the least speed that is worth a lease, the longest needs half of it. */
export const RUN_MS = 120_000;
/** The update may arrive this late: it is small, and its transfer resumes. */
const PULL_MS = 120_000;
/** What an encoded update has besides one byte for each parameter. */
const ENCODING_BYTES = 1 << 20;

/** Drives a probe. The first run is short and does not count: it starts the worker's child. */
export class ProbeSession {
  readonly assignment: Assignment;
  private readonly events: Mailbox<ProbeEvent>;

  constructor(
    private readonly about: { worker: Address; probeId: string; plan: ProbePlan },
    private readonly deps: Pick<MeasureDeps, 'fleet' | 'clock'>,
  ) {
    this.events = new Mailbox(deps.clock);
    const gone = (reason: string) => () => this.events.push({ type: 'gone', reason });
    this.assignment = {
      kind: 'probe',
      probeId: about.probeId,
      events: {
        onJoin: () => undefined,
        onMessage: (_worker, message) => this.onMessage(message),
        onAway: gone('the worker disconnected'),
        onExpelled: gone('the worker was wanted for something else'),
      },
    };
  }

  /** Runs the probe to its end, and frees the worker. Throws only the signal's reason. */
  async run(signal: AbortSignal): Promise<ProbeEnd> {
    const { fleet } = this.deps;
    const { worker } = this.about;
    fleet.assign(worker, this.assignment);
    try {
      return await this.measure(signal);
    } finally {
      fleet.release(this.assignment, 'the probe is over');
    }
  }

  private async measure(signal: AbortSignal): Promise<ProbeEnd> {
    const { worker, probeId, plan } = this.about;
    const warmUp = await this.timeRun(1, signal);
    if (warmUp.kind !== 'done') return warmUp;
    const short = await this.timeRun(plan.short, signal);
    if (short.kind !== 'done') return short;
    const long = await this.timeRun(plan.long, signal);
    if (long.kind !== 'done') return long;
    const { done, seed } = long;
    const flaw = findFlaw(done, plan) ?? (await this.pull(done, signal));
    if (flaw) return flaw;
    const gflops = probeSpeed(plan, short.ms, long.ms);
    return { kind: 'timed', work: { worker, probeId, plan, seed, done, gflops } };
  }

  /** Lets the worker train so many steps; the clock runs from the request to the answer. */
  private async timeRun(
    steps: number,
    signal: AbortSignal,
  ): Promise<ProbeFailure | { kind: 'done'; done: ProbeDone; seed: number; ms: number }> {
    const { fleet, clock } = this.deps;
    const { worker, probeId, plan } = this.about;
    // Drawn now, so that nothing can be prepared.
    const seed = randomInt(2 ** 31);
    const { shape } = plan;
    const atMs = clock.now();
    fleet.send(worker, { type: 'probe.run', probeId, seed, shape, batch: PROBE_BATCH, steps, deadlineMs: RUN_MS });
    const event = await this.events.next(RUN_MS, signal);
    if (!event) return bad(`no answer to ${steps} steps within ${RUN_MS / 1000} s`);
    if (event.type === 'gone') return { kind: 'unfinished', reason: event.reason };
    if (event.type === 'probe.failed') {
      const { code, reason } = event;
      return code === 'worker/busy' ? { kind: 'unfinished', reason } : { kind: 'bad', reason, isFault: false };
    }
    return { kind: 'done', done: event, seed, ms: clock.now() - atMs };
  }

  private async pull({ update }: ProbeDone, signal: AbortSignal): Promise<ProbeFailure | undefined> {
    const { fleet, clock } = this.deps;
    const peer = fleet.peer(this.about.worker);
    if (!peer) return { kind: 'unfinished', reason: 'the worker disconnected' };
    const late = new AbortController();
    void clock.sleep(PULL_MS, late.signal).then(
      () => late.abort(new Error('it took too long')),
      () => undefined,
    );
    try {
      await peer.pull(update, { signal: AbortSignal.any([signal, late.signal]) });
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      const reason = `its update did not arrive: ${describeError(error)}`;
      return fleet.peer(this.about.worker) === peer ? bad(reason) : { kind: 'unfinished', reason };
    } finally {
      late.abort();
    }
  }

  private onMessage(message: WorkerMessage): void {
    if (message.type !== 'probe.done' && message.type !== 'probe.failed') return;
    if (message.probeId === this.about.probeId) this.events.push(message);
  }
}

function findFlaw({ tokens, update }: ProbeDone, { shape, long }: ProbePlan): ProbeFailure | undefined {
  const expected = long * PROBE_BATCH * probeModels[shape].context;
  if (tokens !== expected) return bad(`it claims ${tokens} tokens instead of ${expected}`);
  const most = probeParameters(shape) + ENCODING_BYTES;
  if (update.bytes > most) return bad(`its update has ${update.bytes} bytes, more than ${most}`);
  return undefined;
}

function bad(reason: string): ProbeFailure {
  return { kind: 'bad', reason, isFault: true };
}

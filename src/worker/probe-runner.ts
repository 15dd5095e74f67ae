/** A master's probe of this worker: made-up training in a child of its own, which a job ends at once. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../domain/ids';
import { AppError, describeError, errorCode } from '../lib/errors';
import { sha256 as hashOf } from '../lib/hash';
import type { MasterMessage, WorkerMessageIn } from '../protocol/link';
import { probeSpec } from '../protocol/probe';
import type { TeamPlace, TrainerSpec } from '../protocol/trainer';
import type { Trainer } from '../runner/trainer';
import type { WorkerBlobs } from './lease';

type ProbeRun = Extract<MasterMessage, { type: 'probe.run' }>;

interface ProbeRunnerOptions {
  dataDir: string;
  device: string;
  processes: number;
  team?: TeamPlace | undefined;
  threads(): number;
  microBatch: number;
  timeout: { team: number };
}

interface ProbeRunnerDeps {
  blobs: Pick<WorkerBlobs, 'add' | 'remove'>;
  send(message: WorkerMessageIn): boolean;
  openChild(spec: TrainerSpec): Trainer;
}

/** An open probe: its child stays for all of its runs, so that only the first one waits for its start. */
interface OpenProbe {
  probeId: string;
  trainer?: Trainer | undefined;
  /** The update of its last run, which the master may pull. */
  update?: Sha256 | undefined;
  isClosed: boolean;
}

/**
 * Does the runs of one probe at a time. `begin` and `close` act at once; `run` and `tidy` take their turn
 * among the other work of the worker.
 */
export class ProbeRunner {
  private open: OpenProbe | undefined;
  private readonly closed: OpenProbe[] = [];

  constructor(
    private readonly options: ProbeRunnerOptions,
    private readonly deps: ProbeRunnerDeps,
  ) {}

  /** The update of the open probe's last run. */
  get update(): Sha256 | undefined {
    return this.open?.update;
  }

  /** Makes the run's probe the open one. */
  begin({ probeId }: ProbeRun): void {
    if (this.open?.probeId === probeId) return;
    this.close();
    this.open = { probeId, isClosed: false };
  }

  /** Does a run and reports it, unless its probe was closed meanwhile. Never throws. */
  async run(message: ProbeRun): Promise<void> {
    const probe = this.open;
    const { probeId } = message;
    if (probe?.probeId !== probeId) return;
    try {
      const done = await this.train(probe, message);
      if (!probe.isClosed) this.deps.send(done);
    } catch (error) {
      if (probe.isClosed) return;
      this.close();
      const code = errorCode(error).slice(0, 60);
      this.deps.send({ type: 'probe.failed', probeId, code, reason: describeError(error).slice(0, 500) });
    }
  }

  /** Stops the open probe, in the middle of a step if need be. */
  close(): void {
    const { open: probe } = this;
    if (!probe) return;
    this.open = undefined;
    probe.isClosed = true;
    probe.trainer?.kill();
    this.closed.push(probe);
  }

  /** Removes what closed probes have left. */
  async tidy(): Promise<void> {
    for (const { probeId, trainer, update } of this.closed.splice(0)) {
      await trainer?.[Symbol.asyncDispose]();
      if (update) await this.deps.blobs.remove(update);
      await rm(this.dir(probeId), { recursive: true, force: true });
    }
  }

  private async train(probe: OpenProbe, message: ProbeRun): Promise<WorkerMessageIn> {
    const { probeId, seed, steps } = message;
    const dir = this.dir(probeId);
    await mkdir(dir, { recursive: true });
    if (probe.isClosed) throw new AppError({ code: 'worker/probe-closed' }, 'The probe was closed.');
    probe.trainer ??= this.openChild(message, dir);
    const { trainer } = probe;
    const paths = { theta: join(dir, 'theta.safetensors'), shard: join(dir, 'shard.safetensors') };
    const { theta, shard } = await trainer.run({ type: 'probe.make', seed, blocks: steps, ...paths }, 'probe.made');
    const from = { path: theta.path, sha256: theta.sha256 };
    const out = join(dir, 'update.safetensors');
    const done = await trainer.run(
      { type: 'round.run', round: 0, start: 0, shard: shard.path, theta: from, out },
      'round.done',
    );
    const { tokens, seconds, endTheta } = done;
    if (probe.update) await this.deps.blobs.remove(probe.update);
    const { sha256, bytes } = await this.deps.blobs.add(done.update.path, { move: true });
    probe.update = sha256;
    return { type: 'probe.done', probeId, update: { sha256, bytes }, tokens, seconds, endTheta };
  }

  private openChild({ probeId, shape, batch }: ProbeRun, workDir: string): Trainer {
    const { device, processes, team, microBatch, threads, timeout } = this.options;
    const place = { device, processes, team, teamMs: timeout.team, microBatch, threads: threads(), workDir };
    return this.deps.openChild(probeSpec({ probeId, shape, batch }, place));
  }

  private dir(probeId: string): string {
    return join(this.options.dataDir, 'probes', hashOf(Buffer.from(probeId)));
  }
}

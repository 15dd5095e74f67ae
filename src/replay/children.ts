/** The Python children of a replay: one coordinates, one trains; each starts when it is first needed. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest } from '../protocol/manifest';
import type { TrainerSpec } from '../protocol/trainer';
import type { Trainer } from '../runner/trainer';

/** A Python child as a replay uses it. */
export type ReplayChild = Pick<Trainer, 'run' | 'ready'> & AsyncDisposable;

export interface ReplayMachine {
  device: string;
  /** Intra-op threads of a child; 0 lets PyTorch decide. */
  threads: number;
}

interface ChildrenOptions extends ReplayMachine {
  manifest: Pick<Manifest, 'jobId' | 'params' | 'prepared' | 'totalBlocks'>;
  workDir: string;
  /** The directory of the job's base, if it has one. */
  base: string | undefined;
}

export class ReplayChildren implements AsyncDisposable {
  private readonly open = new Map<TrainerSpec['kind'], ReplayChild>();

  constructor(
    private readonly options: ChildrenOptions,
    private readonly openChild: (spec: TrainerSpec) => ReplayChild,
  ) {}

  coordinator(): Promise<ReplayChild> {
    const { manifest, device, threads, workDir, base } = this.options;
    const { jobId, params } = manifest;
    return this.child({ kind: 'coordinate', device, threads, workDir, jobId, params, base });
  }

  /** Where the child works that does leases again. */
  get trainDir(): string {
    return join(this.options.workDir, 'leases');
  }

  /** The child that does leases again, and what it runs on, in words. */
  async trainer(): Promise<{ trainer: ReplayChild; machine: string }> {
    const { manifest, device, threads, base } = this.options;
    const { jobId, params, prepared, totalBlocks } = manifest;
    const { vocabSize } = prepared;
    const facts = { jobId, params, base, vocabSize, totalBlocks, microBatch: params.batch };
    const trainer = await this.child({ kind: 'train', device, threads, workDir: this.trainDir, ...facts });
    const ready = await trainer.ready;
    const kernels = ready.kernels === undefined ? '' : `, ${ready.kernels} kernels`;
    return { trainer, machine: `${ready.device}, ${ready.threads} threads${kernels}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.open.values()].map((child) => child[Symbol.asyncDispose]()));
  }

  private async child(spec: TrainerSpec): Promise<ReplayChild> {
    const known = this.open.get(spec.kind);
    if (known) return known;
    await mkdir(spec.workDir, { recursive: true });
    const child = this.openChild(spec);
    this.open.set(spec.kind, child);
    return child;
  }
}

/** What daemons tell at `/metrics` besides their traffic: readiness, stored blobs, jobs and workers. */
import type { FigureGroup } from '../http/metrics';
import type { MasterStatus } from '../protocol/admin';
import type { ReadyCheck } from '../protocol/readiness';
import type { MirrorTotals } from '../storage/mirror';
import type { StorageSpace } from '../storage/space';

export function readinessFigures(check: () => Promise<ReadyCheck[]>): FigureGroup {
  return {
    figures: [{ name: 'ready', help: '1 for each check of /readyz that holds, else 0.', labels: ['check'] }],
    async read() {
      return { ready: (await check()).map(({ name, ok }) => ({ of: { check: name }, value: Number(ok) })) };
    },
  };
}

/** What a storage holds of others. */
export function storedFigures(space: Pick<StorageSpace, 'sums'>): FigureGroup {
  const labels = ['purpose'];
  return {
    figures: [
      { name: 'stored_blobs', help: 'Blobs and unfinished uploads of others.', labels },
      { name: 'stored_bytes', help: 'Their bytes; unfinished uploads count whole.', labels },
      { name: 'unfinished_uploads', help: 'Uploads that are not complete.', labels },
    ],
    async read() {
      const sums = (await space.sums()).map(({ purpose, sum }) => ({ of: { purpose }, ...sum }));
      return {
        stored_blobs: sums.map(({ of, blobs: value }) => ({ of, value })),
        stored_bytes: sums.map(({ of, bytes: value }) => ({ of, value })),
        unfinished_uploads: sums.map(({ of, unfinished: value }) => ({ of, value })),
      };
    },
  };
}

export function mirrorFigures(totals: Readonly<MirrorTotals>): FigureGroup {
  return {
    figures: [
      { name: 'mirrored_blobs_total', help: 'Blobs copied from other storages since the start.' },
      { name: 'mirrored_bytes_total', help: 'Their bytes.' },
      { name: 'mirror_failures_total', help: 'Attempts to copy a blob that failed.' },
    ],
    async read() {
      return {
        mirrored_blobs_total: [{ value: totals.blobs }],
        mirrored_bytes_total: [{ value: totals.bytes }],
        mirror_failures_total: [{ value: totals.failures }],
      };
    },
  };
}

export function masterFigures(status: () => Promise<Pick<MasterStatus, 'workers' | 'gflops' | 'jobs'>>): FigureGroup {
  return {
    figures: [
      { name: 'workers', help: 'Workers that are connected.' },
      { name: 'workers_gflops', help: 'Their speed together, in GFLOP/s.' },
      { name: 'jobs', help: 'Jobs of the queue by state.', labels: ['state'] },
      { name: 'training_tokens_per_second', help: 'Tokens that all jobs train on in a second, as workers report.' },
    ],
    async read() {
      const { workers, gflops, jobs = [] } = await status();
      const states = [...new Set(jobs.map(({ state }) => state))];
      const countOf = (state: string) => jobs.filter((job) => job.state === state).length;
      const rates = jobs.map(({ progress }) => progress?.tokensPerSecond ?? 0);
      return {
        workers: [{ value: workers }],
        workers_gflops: [{ value: gflops }],
        jobs: states.map((state) => ({ of: { state }, value: countOf(state) })),
        training_tokens_per_second: [{ value: rates.reduce((sum, rate) => sum + rate, 0) }],
      };
    },
  };
}

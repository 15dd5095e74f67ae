/** How much each worker is leased, by how fast it is, and whatever it says of that. */
import type { MasterRig } from '../../support/master-rig';
import { PAID, playTimelines, TO_VERIFIED } from '../../support/master-rig-books';

const done = { history: TO_VERIFIED, mined: PAID };

/** Blocks that each worker was leased, in order of the workers. */
const leased = (rig: MasterRig) =>
  rig.workers.map((worker) => worker.leases.reduce((sum, { start, end }) => sum + end - start, 0));

playTimelines([
  {
    situation: 'one of two claims 0 s',
    outcome: 'both are leased the same but for a block',
    options: { workers: 2, blocks: 64 },
    given: (rig) => {
      rig.worker.claimedSeconds = 0;
      for (const worker of rig.workers) worker.blockMs = 1000;
    },
    ...done,
    check(rig) {
      expect(Math.min(...leased(rig))).toBeGreaterThanOrEqual(31);
      const noted = rig.log.filter((line) => line.includes('claims another time'));
      expect(noted.every((line) => line.includes(rig.worker.address))).toBe(true);
      expect(noted).toHaveLength(rig.worker.leases.length);
    },
  },
  {
    situation: 'three as fast as each other, with audits between',
    outcome: 'each is leased a third of 240 blocks, within a twentieth',
    options: { workers: 3, blocks: 240 },
    given: (rig) => {
      for (const worker of rig.workers) worker.blockMs = 1000;
    },
    ...done,
    check(rig) {
      expect(Math.min(...leased(rig))).toBeGreaterThanOrEqual(76);
      expect(Math.max(...leased(rig))).toBeLessThanOrEqual(84);
    },
  },
  {
    situation: 'one of two announces 1e12 GFLOP/s and is silent',
    outcome: 'it loses three equal parts, the other does the rest',
    options: { workers: 2, blocks: 64 },
    given: (rig) => {
      rig.worker.gflops = 1e12;
      rig.worker.fates.push('is silent', 'is silent', 'is silent', 'is silent');
    },
    ...done,
    check(rig) {
      expect(rig.worker.leases.map(({ start, end }) => end - start)).toEqual([8, 7, 8]);
      expect(rig.worker.heardOf('job.close')[0]?.reason).toContain('too many of its leases were lost');
      expect(rig.chain.credits.has(rig.workers[1]!.address)).toBe(true);
    },
  },
  {
    situation: 'two slow workers this master does not know',
    outcome: 'two small rounds, then whole ones',
    options: { workers: 2, blocks: 64 },
    given: (rig) => {
      for (const worker of rig.workers) Object.assign(worker, { gflops: 2e-4, blockMs: 1000 });
    },
    ...done,
    check(rig) {
      const sizes = rig.workers.map((worker) => worker.leases.map(({ start, end }) => end - start));
      // 5, 7 and 2 are what is left of a round after an audit; the last has all that is left.
      expect(sizes).toEqual([
        [2, 4, 8, 7, 11],
        [2, 4, 5, 10, 2, 9],
      ]);
    },
  },
]);

/** A job whose process is gone, or was paused for too long, and another process that takes it over. */
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from '../../../src/store/open';
import { runSql } from '../../support/each-database';
import type { MasterRig } from '../../support/master-rig';
import { PAID, playTimelines, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';

const place = (rig: MasterRig) => ({ kind: 'sqlite', path: join(rig.dataDir, 'master.sqlite') }) as const;
const count = (rig: MasterRig, text: string) => rig.log.filter((line) => line.includes(text)).length;

/** Kills the master after its first fold, or another act; the next one runs on another machine. */
function moves(rig: MasterRig, meanwhile: () => void, act = 'rounds.fold'): void {
  rig.faults.plan(act, async (proceed) => {
    await proceed();
    rig.kill();
    meanwhile();
    rig.machine = 'second';
  });
}

function loseFiles(rig: MasterRig): void {
  for (const dir of ['blobs', 'jobs']) rmSync(join(rig.dataDir, dir), { recursive: true });
}

/** Another process has the job from the master's first fold on, as if this one had been paused before it. */
function isPaused(rig: MasterRig): void {
  rig.faults.plan('rounds.fold', async (proceed) => {
    await using other = await openStore(place(rig), rig.clock, 'second.1');
    await runSql(place(rig), 'update jobs set beat_at_ms = 0');
    expect((await other.claims.hold(rig.node)).taken).toEqual([rig.jobId]);
    return proceed();
  });
}

playTimelines([
  {
    situation: 'master gone, another machine has its files',
    outcome: 'taken over once the claim is old, each block merged once',
    options: { blocks: 24 },
    given: (rig) => moves(rig, () => undefined),
    history: TO_VERIFIED,
    mined: PAID,
    starts: 2,
    check: (rig) => expect(count(rig, 'Job taken over')).toBe(1),
  },
  {
    situation: 'master gone with its files',
    outcome: 'prepared and trained anew on the other machine',
    options: { blocks: 24 },
    given: (rig) => moves(rig, () => loseFiles(rig)),
    history: `${TO_TRAINING} ${TO_VERIFIED.replace('queued ', '')}`,
    mined: PAID,
    starts: 2,
    check: (rig) => expect(count(rig, 'Job begins anew')).toBe(1),
  },
  {
    situation: 'master gone with its files as it took the job on chain',
    outcome: 'prepared anew on the other machine, its deposit not forgotten',
    given: (rig) => moves(rig, () => loseFiles(rig), 'chain.process'),
    history: `queued claimed preparing ${TO_VERIFIED.replace('queued ', '')}`,
    mined: PAID,
    starts: 2,
    check: (rig) => expect(count(rig, 'Job begins anew')).toBe(1),
  },
  {
    situation: 'master gone with its files, no data to be had elsewhere',
    outcome: 'left to its own machine, which goes on',
    options: { blocks: 24 },
    given: (rig) =>
      moves(rig, () => {
        renameSync(join(rig.dataDir, 'blobs'), join(rig.dataDir, 'away'));
        rig.fails('storage.size', { times: 1000 });
      }),
    async act(rig) {
      await rig.until('the other machine runs', () => rig.starts === 2);
      await rig.pass(60_000);
      expect(count(rig, 'Job taken over')).toBe(0);
      rig.kill();
      rig.machine = 'first';
      rmSync(join(rig.dataDir, 'blobs'), { recursive: true, force: true });
      renameSync(join(rig.dataDir, 'away'), join(rig.dataDir, 'blobs'));
    },
    history: TO_VERIFIED,
    mined: PAID,
    starts: 3,
  },
  {
    situation: 'paused before a fold, another has the job meanwhile',
    outcome: 'it folds nothing, and takes the job back when the other is gone',
    options: { blocks: 24 },
    given: isPaused,
    history: TO_VERIFIED,
    mined: PAID,
    check: (rig) => {
      expect(count(rig, 'Job run ended')).toBe(1);
      expect(count(rig, 'Job taken over')).toBe(1);
    },
  },
]);

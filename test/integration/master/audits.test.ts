/** Audits beside the rounds: who does them, what is found, and what becomes of those found out. */
import { leaseKey, reportAudits } from '../../../src/domain/audit';
import type { MasterRig } from '../../support/master-rig';
import { PAID, playTimelines, type Timeline, TO_TRAINING, TO_VERIFIED } from '../../support/master-rig-books';
import type { PlayedWorker } from '../../support/master-rig-worker';

const done = { history: TO_VERIFIED, mined: PAID };
const three = { workers: 3, blocks: 72 };
/** Every lease is audited. */
const all = { params: JSON.stringify({ ...shape(), audit: { rate: 1 } }) };
/** Only the first lease of each worker surely is; the draws of the rest are the same in every run. */
const few = { params: JSON.stringify({ ...shape(), audit: { rate: 0 } }) };

function shape() {
  return { model: { layers: 1, heads: 2, width: 16, context: 16 }, epochs: 1, batch: 4, round: { steps: 8 } };
}

const auditsOf = (rig: MasterRig) => rig.store.audits.list(rig.jobId);
const outcomes = async (rig: MasterRig) => (await auditsOf(rig)).map(({ auditor, outcome }) => [auditor, outcome]);
/** Which leases were merged and not paid, as their worker was granted them. */
const unpaidBlocks = async (rig: MasterRig) => {
  const leases = await rig.store.audits.merged(rig.jobId);
  const { refuted } = reportAudits(leases, await auditsOf(rig), rig.node);
  const grants = rig.workers.flatMap((worker) => worker.leases);
  return grants.filter(({ round, start }) => refuted.has(leaseKey({ round, start })));
};
const paid = (rig: MasterRig) => rig.workers.map(({ address }) => rig.chain.credits.has(address));
const tokensOf = (worker: PlayedWorker) => worker.receipts.at(-1);

describe('honest workers', () => {
  playTimelines([
    {
      situation: 'every lease of three is drawn',
      outcome: 'each is done again by another worker, who is paid for it',
      options: { ...three, ...all },
      ...done,
      async check(rig) {
        const leases = (await rig.store.ledger.listLeases(rig.jobId)).filter(({ state }) => state === 'merged');
        const audits = await auditsOf(rig);
        expect(audits.map(({ leaseId }) => leaseId).sort()).toEqual(leases.map(({ leaseId }) => leaseId).sort());
        expect(audits.every(({ outcome }) => outcome === 'equal')).toBe(true);
        const workerOf = new Map(leases.map(({ leaseId, worker }) => [leaseId, worker]));
        expect(audits.every(({ leaseId, auditor }) => workerOf.get(leaseId) !== auditor)).toBe(true);
        const shares = (await rig.store.jobs.find(rig.jobId))!.result!.shares;
        expect(shares.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(2 * 72 * 64);
        expect(rig.ownChildren).toEqual([]);
      },
    },
    {
      situation: 'first leases are audited',
      outcome: 'a round goes on meanwhile, without the auditor',
      options: { ...three, ...few },
      ...done,
      check(rig) {
        const [audit] = rig.workers.flatMap((worker) => worker.audits.map((grant) => ({ worker, grant })));
        expect(audit!.grant.round).toBe(0);
        // Drawn once round 0 was final, which round 1 did not wait for.
        expect(audit!.worker.leases.some(({ round }) => round === 2)).toBe(false);
        expect(rig.workers.some((worker) => worker.leases.some(({ round }) => round === 2))).toBe(true);
      },
    },
    {
      situation: 'only one worker',
      outcome: 'the own child does its leases again',
      options: { blocks: 16, ...all },
      ...done,
      async check(rig) {
        expect(await outcomes(rig)).toEqual([
          [rig.node, 'equal'],
          [rig.node, 'equal'],
        ]);
        expect(rig.worker.audits).toEqual([]);
      },
    },
    {
      situation: 'receipts after audits',
      outcome: 'they name what was merged, audited and held',
      options: { ...three, ...few },
      ...done,
      check(rig) {
        const last = rig.workers.map(tokensOf);
        expect(last.some((receipt) => receipt!.auditTokens > 0)).toBe(true);
        expect(last.every((receipt) => receipt!.heldTokens < receipt!.totalTokens)).toBe(true);
        expect(rig.worker.heardOf('job.open')[0]).toHaveProperty('auditSeedHash');
      },
    },
  ]);
});

describe('found out', () => {
  playTimelines([
    {
      situation: 'first lease of one of three is noise',
      outcome: 'the own child decides, it is dismissed and not paid',
      options: { ...three, ...few },
      given: (rig) => void rig.worker.fates.push('sends noise'),
      ...done,
      async check(rig) {
        const audits = (await auditsOf(rig)).filter(({ outcome }) => outcome === 'different');
        expect(audits.map(({ auditor }) => auditor)).toContain(rig.node);
        expect(await unpaidBlocks(rig)).toEqual([rig.worker.leases[0]!]);
        expect(rig.worker.heardOf('job.close')[0]?.reason).toContain('an audit found other work');
        expect(await rig.store.workers.addStrike(rig.worker.address, 'asked by the test')).toBe(2);
      },
    },
    {
      situation: 'first lease of one of two is noise',
      outcome: 'the own child decides, it is dismissed and not paid',
      options: { workers: 2, blocks: 48, ...few },
      given: (rig) => void rig.worker.fates.push('sends noise'),
      ...done,
      async check(rig) {
        const audits = (await auditsOf(rig)).filter(({ outcome }) => outcome === 'different');
        expect(new Set(audits.map(({ auditor }) => auditor))).toEqual(new Set([rig.workers[1]!.address, rig.node]));
        expect(await unpaidBlocks(rig)).toContainEqual(rig.worker.leases[0]);
      },
    },
    {
      situation: 'an auditor finds something else than the other two',
      outcome: 'it is dismissed, and the audited worker is paid',
      options: { ...three, ...few },
      given: (rig) => {
        rig.worker.auditFates.push('sends noise');
      },
      ...done,
      async check(rig) {
        const wrong = (await auditsOf(rig)).filter(({ outcome }) => outcome === 'different');
        expect(wrong.map(({ auditor }) => auditor)).toEqual([rig.worker.address]);
        expect(rig.worker.heardOf('job.close')[0]?.reason).toContain('an audit found other work');
        expect(paid(rig).slice(1)).toEqual([true, true]);
      },
    },
    {
      situation: 'of three workers two are keys of one owner, and make the same noise',
      outcome: 'they do not outvote the third',
      options: { ...three, ...few },
      given(rig) {
        for (const key of rig.workers.slice(0, 2)) {
          key.owner = rig.worker.address;
          key.fates.push('sends noise');
          key.auditFates.push('sends noise', 'sends noise');
        }
      },
      ...done,
      async check(rig) {
        const honest = rig.workers[2]!;
        expect(honest.heardOf('job.close').map(({ reason }) => reason)).not.toContainEqual(
          expect.stringContaining('an audit found'),
        );
        expect(await unpaidBlocks(rig)).not.toContainEqual(honest.leases[0]);
        expect(paid(rig)[2]).toBe(true);
      },
    },
    {
      situation: 'only worker sends noise',
      outcome: 'found out by the own child, given back before the deadline',
      options: { ...few, blocks: 64, deadlineMs: 300_000 },
      given: (rig) => void rig.worker.fates.push('sends noise', 'sends noise', 'sends noise'),
      history: `${TO_TRAINING} declining declined`,
      mined: 'process decline',
      check: (rig) => expect(rig.worker.heardOf('job.close')[0]?.reason).toContain('an audit found other work'),
    },
  ]);
});

describe('auditors that do not answer', () => {
  const cases: { fate: 'is silent' | 'fails' | 'sends garbage' }[] = [
    { fate: 'is silent' },
    { fate: 'fails' },
    { fate: 'sends garbage' },
  ];
  playTimelines(
    cases.map(
      ({ fate }): Timeline => ({
        situation: `auditor ${fate}`,
        outcome: 'another does it, and no round waits',
        options: { ...three, ...few },
        given: (rig) => void rig.worker.auditFates.push(fate),
        ...done,
        async check(rig) {
          expect(rig.worker.audits.length).toBeGreaterThan(0);
          const audits = await auditsOf(rig);
          const { round, start } = rig.worker.audits[0]!;
          const found = audits.find((audit) => audit.round === round && audit.start === start);
          expect(found).toMatchObject({ outcome: 'equal' });
          expect(found!.auditor).not.toBe(rig.worker.address);
        },
      }),
    ),
  );

  playTimelines([
    {
      situation: 'auditor cut in mid-audit',
      outcome: 'it goes on with it when it is back',
      options: { ...three, ...few },
      async act(rig) {
        await rig.until('the worker audits', () => rig.worker.audits.length === 1 && rig.worker.holdsLease);
        rig.worker.cut();
        await rig.pass(3000);
        rig.worker.connect(rig.door);
      },
      ...done,
      async check(rig) {
        const { round, start } = rig.worker.audits[0]!;
        const audits = await auditsOf(rig);
        expect(audits.find((audit) => audit.round === round && audit.start === start)?.auditor).toBe(
          rig.worker.address,
        );
      },
    },
    {
      situation: 'own child cannot do the only worker’s leases again',
      outcome: 'left out, and the worker is paid',
      options: { blocks: 16, ...all },
      given: (rig) => rig.fails('child.round.run', { times: 9 }),
      ...done,
      check: async (rig) => expect(await auditsOf(rig)).toEqual([]),
    },
  ]);
});

describe('killed', () => {
  const points = ['audits.record', 'rounds.confirm', 'child.compare', 'child.round.run'];
  playTimelines(
    points.flatMap((point) =>
      (['before', 'after'] as const).map(
        (moment): Timeline => ({
          situation: `killed ${moment} ${point}`,
          outcome: 'every drawn lease is audited all the same',
          options: { workers: point === 'child.round.run' ? 1 : 3, blocks: 48, ...all },
          given: (rig) => rig.killsAt(moment, point),
          ...done,
          starts: 2,
          async check(rig) {
            const leases = (await rig.store.ledger.listLeases(rig.jobId)).filter(({ state }) => state === 'merged');
            const audited = new Set((await auditsOf(rig)).map(({ leaseId }) => leaseId));
            expect(leases.filter(({ leaseId }) => !audited.has(leaseId))).toEqual([]);
          },
        }),
      ),
    ),
  );
});

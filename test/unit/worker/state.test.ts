/** The worker's state machine, as timelines of inputs with the effects after each. */
import fc from 'fast-check';
import type { MasterMessage } from '../../../src/protocol/link';
import { advance, heldLease, type WorkerEffect, type WorkerInput, type WorkerState } from '../../../src/worker/state';
import { playOrders } from '../../support/orders';
import { blobName, commit, grant, jobId, openJob } from '../../support/worker-messages';

const free = { kind: 'free' } as WorkerState;
const receive = (message: MasterMessage): WorkerInput => ({ type: 'message', message });
const opened: WorkerInput = { type: 'opened', jobId: jobId('1') };
const revoke = (leaseId: string) => receive({ type: 'lease.revoke', leaseId, reason: 'over' });
const verdict = (leaseId: string, accepted = true) => receive({ type: 'update.verdict', leaseId, accepted });
const close = (digit = '1') => receive({ type: 'job.close', jobId: jobId(digit), reason: 'done' });
const trained = (leaseId: string): WorkerInput => ({ type: 'trained', commit: commit(leaseId) });
const failed = (leaseId: string, code: string): WorkerInput => ({
  type: 'round-failed',
  leaseId,
  code,
  reason: 'it broke',
});
const crashed = (leaseId: string) => failed(leaseId, 'runner/child-crashed');
const oom = (leaseId: string) => failed(leaseId, 'train/oom');

/** Returns an effect in short: `train a`, `send job.ready`. */
function brief(effect: WorkerEffect): string {
  switch (effect.type) {
    case 'send':
      return `send ${effect.message.type}`;
    case 'commit':
      return `commit ${effect.commit.leaseId}`;
    case 'train':
      return `${effect.restart ? 'retrain' : 'train'} ${effect.lease.leaseId} by ${effect.microBatch}`;
    case 'open':
      return 'open';
    case 'close':
      return 'close';
    default:
      return `${effect.type} ${effect.leaseId}`;
  }
}

type Row = [input: WorkerInput, kind: WorkerState['kind'], ...effects: string[]];

/** Plays a timeline and compares state and effects after every row. */
function play(rows: Row[], from: WorkerState = free): WorkerState {
  return rows.reduce((state, [input, kind, ...effects], i) => {
    const next = advance(state, input, 8);
    expect({ row: i, kind: next.state.kind, effects: next.effects.map(brief) }).toEqual({ row: i, kind, effects });
    return next.state;
  }, from);
}

const upToReady: Row[] = [
  [receive(openJob()), 'opening', 'open'],
  [opened, 'ready', 'send job.ready'],
];
const upToTraining: Row[] = [...upToReady, [receive(grant('a')), 'training', 'train a by 4']];
const upToFinished: Row[] = [...upToTraining, [trained('a'), 'finished', 'commit a']];

describe('advance', () => {
  test('default: two rounds of a job', () => {
    play([
      ...upToFinished,
      [verdict('a'), 'ready', 'forget a'],
      [receive(grant('b', { round: 1 })), 'training', 'train b by 4'],
      [trained('b'), 'finished', 'commit b'],
      [verdict('b', false), 'ready', 'forget b'],
      [close(), 'free', 'close'],
    ]);
  });

  test('reconnect while training: training goes on', () => {
    const state = play([
      ...upToTraining,
      [{ type: 'welcome' }, 'training'],
      [receive(openJob()), 'training', 'send job.ready'],
    ]);
    expect(heldLease(state)).toEqual({ jobId: jobId('1'), leaseId: 'a' });
  });

  test('reconnect before the verdict: the update is held and committed again', () => {
    const state = play([...upToFinished, [{ type: 'welcome' }, 'finished', 'commit a']]);
    expect(heldLease(state)).toEqual({ jobId: jobId('1'), leaseId: 'a', update: commit('a').update });
  });

  test('repeated grant: training goes on, a finished round is committed again', () => {
    play([...upToTraining, [receive(grant('a')), 'training']]);
    play([...upToFinished, [receive(grant('a')), 'finished', 'commit a']]);
  });

  test('lease revoked: training is canceled and its late result is ignored', () => {
    play([
      ...upToTraining,
      [revoke('a'), 'ready', 'cancel a', 'forget a'],
      [trained('a'), 'ready'],
      [crashed('a'), 'ready'],
    ]);
  });

  test('new grant: the old lease is dropped', () => {
    play([...upToTraining, [receive(grant('b')), 'training', 'cancel a', 'forget a', 'train b by 4']]);
    play([...upToFinished, [receive(grant('b')), 'training', 'forget a', 'train b by 4']]);
  });

  test('message about another lease or job: ignored', () => {
    play([...upToTraining, [revoke('z'), 'training'], [verdict('z'), 'training'], [close('2'), 'training']]);
  });

  test('another job is opened: the old one is closed', () => {
    play([
      ...upToTraining,
      [receive(openJob('2')), 'opening', 'cancel a', 'forget a', 'close', 'open'],
      [opened, 'opening'],
    ]);
  });

  test('lease of a job that is not open: it fails', () => {
    play([[receive(grant('a')), 'free', 'send lease.failed']]);
    play([...upToReady, [receive(grant('a', { jobId: jobId('2') })), 'ready', 'send lease.failed']]);
  });

  test('shard larger than the lease can be: it fails, and what was held stays', () => {
    const large = grant('b', { shard: { sha256: blobName('a'), bytes: 2 ** 21 } });
    play([...upToReady, [receive(large), 'ready', 'send lease.failed']]);
    play([...upToTraining, [receive(large), 'training', 'send lease.failed']]);
  });

  test('child cannot be opened: the job fails', () => {
    const cannot = {
      type: 'open-failed',
      jobId: jobId('1'),
      code: 'runner/bad-spec',
      reason: 'x'.repeat(900),
    } as const;
    play([
      [receive(openJob()), 'opening', 'open'],
      [cannot, 'free', 'send job.failed', 'close'],
      [cannot, 'free'],
    ]);
    const { effects } = advance(
      { kind: 'opening', openJob: { job: openJob(), microBatch: 4, failedLeases: 0 } },
      cannot,
      8,
    );
    expect(effects[0]).toMatchObject({ message: { code: 'runner/bad-spec', reason: 'x'.repeat(500) } });
  });

  test('child crashes twice: the round is repeated once, then the lease fails', () => {
    play([
      ...upToTraining,
      [crashed('a'), 'training', 'retrain a by 4'],
      [crashed('a'), 'ready', 'send lease.failed', 'forget a'],
    ]);
  });

  test('crash, success, crash: the next round is repeated again', () => {
    play([
      ...upToTraining,
      [crashed('a'), 'training', 'retrain a by 4'],
      [trained('a'), 'finished', 'commit a'],
      [verdict('a'), 'ready', 'forget a'],
      [receive(grant('b')), 'training', 'train b by 4'],
      [crashed('b'), 'training', 'retrain b by 4'],
    ]);
  });

  test('out of memory: repeated, then halved down to one, and kept for later rounds', () => {
    const state = play([
      ...upToTraining,
      [oom('a'), 'training', 'retrain a by 4'],
      [oom('a'), 'training', 'retrain a by 2'],
      [oom('a'), 'training', 'retrain a by 1'],
    ]);
    play(
      [
        [oom('a'), 'ready', 'send lease.failed', 'forget a'],
        [receive(grant('b')), 'training', 'train b by 1'],
      ],
      state,
    );
  });

  test.each(['train/diverged', 'link/unavailable', 'command/invalid'])(
    '%s: the lease fails without a second attempt',
    (code) => {
      play([...upToTraining, [failed('a', code), 'ready', 'send lease.failed', 'forget a']]);
    },
  );

  test('three failed leases in a row: the job fails', () => {
    const giveUp = (id: string): Row[] => [
      [receive(grant(id)), 'training', `train ${id} by 4`],
      [failed(id, 'train/diverged'), 'ready', 'send lease.failed', `forget ${id}`],
    ];
    play([
      ...upToReady,
      ...giveUp('a'),
      ...giveUp('b'),
      [receive(grant('c')), 'training', 'train c by 4'],
      [failed('c', 'train/diverged'), 'free', 'send lease.failed', 'send job.failed', 'forget c', 'close'],
    ]);
  });

  test('no verdict: the update is dropped', () => {
    play([
      ...upToFinished,
      [{ type: 'unanswered', leaseId: 'z' }, 'finished'],
      [{ type: 'unanswered', leaseId: 'a' }, 'ready', 'forget a'],
    ]);
  });

  test('inputs in any order: every lease begun is forgotten, every job opened is closed', () => {
    const leases = ['a', 'b'];
    const input = fc.constantFrom<WorkerInput>(
      ...['1', '2'].flatMap(
        (digit) => [receive(openJob(digit)), close(digit), { ...opened, jobId: jobId(digit) }] as WorkerInput[],
      ),
      ...leases.flatMap((id) => [receive(grant(id)), trained(id), crashed(id), oom(id), revoke(id), verdict(id)]),
      { type: 'welcome' },
    );
    return playOrders(input, 60, (timeline) => {
      const effects: WorkerEffect[] = [];
      let state = free;
      for (const input of [...timeline, close('1'), close('2')]) {
        const next = advance(state, input, 8);
        state = next.state;
        effects.push(...next.effects);
      }
      expect(state.kind).toBe('free');
      expect(count(effects, 'open')).toBe(count(effects, 'close'));
      const started = effects.filter((effect) => effect.type === 'train' && !effect.restart).length;
      expect(count(effects, 'forget')).toBe(started);
    });
  });
});

function count(effects: WorkerEffect[], type: WorkerEffect['type']): number {
  return effects.filter((effect) => effect.type === type).length;
}

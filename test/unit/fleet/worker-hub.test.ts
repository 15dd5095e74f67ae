import { Address, JobId } from '../../../src/domain/ids';
import { type JobDesk, WorkerHub } from '../../../src/fleet/worker-hub';
import { systemClock } from '../../../src/lib/clock';
import { silentLogger } from '../../../src/lib/logger';
import type { Peer } from '../../../src/link/server';
import type { MasterMessageIn, Offer } from '../../../src/protocol/link';

const worker = Address.parse(`0x${'1'.repeat(40)}`);
const jobId = JobId.parse(`0x${'2'.repeat(32)}`);

/** A connection that remembers what was sent over it. */
function peerOf(powerCapacity = 50, held?: Offer['held']) {
  const sent: MasterMessageIn[] = [];
  let closed: string | undefined;
  const peer: Peer = {
    address: worker,
    offer: { version: '0', devices: [], powerCapacity, held },
    ip: '127.0.0.1',
    session: '',
    connectedAtMs: 0,
    send: (message) => void sent.push(message),
    pull: async () => undefined,
    close: (reason) => {
      closed = reason;
    },
  };
  return { peer, sent, closed: () => closed };
}

function openHub(found?: JobDesk) {
  const events: string[] = [];
  const desk: JobDesk = {
    onJoin: (_worker, held) => void events.push(held ? `join with ${held.leaseId}` : 'join'),
    onMessage: (_worker, message) => void events.push(message.type),
    onAway: () => void events.push('away'),
    onExpelled: () => void events.push('expelled'),
  };
  const onIdle = () => void events.push('idle');
  const hub = new WorkerHub({ logger: silentLogger, clock: systemClock, onIdle, findDesk: () => found });
  return { hub, desk, events };
}

describe('WorkerHub', () => {
  test('default: a worker is idle until it is assigned, keeps its seat through a cut, and is idle again afterwards', () => {
    const { hub, desk, events } = openHub();
    const first = peerOf();
    hub.connect(first.peer);
    expect(hub.idle()).toEqual([{ address: worker, gflops: 50 }]);
    hub.assign(worker, jobId, desk);
    expect(hub.idle()).toEqual([]);
    hub.disconnect(first.peer, 'cut');
    expect(hub.view()).toMatchObject([{ connected: false, jobId }]);
    hub.connect(peerOf(50, { jobId, leaseId: 'a' }).peer);
    hub.release(jobId, 'done');
    expect(events).toEqual(['idle', 'join', 'away', 'join with a', 'idle']);
    expect(hub.idle()).toHaveLength(1);
  });

  test('when an old connection ends after a new one came, nothing happens', () => {
    const { hub, desk, events } = openHub();
    const old = peerOf();
    hub.connect(old.peer);
    hub.assign(worker, jobId, desk);
    hub.connect(peerOf().peer);
    hub.disconnect(old.peer, 'replaced');
    hub.message(old.peer, { type: 'job.ready', jobId });
    expect(events).not.toContain('away');
    expect(events).not.toContain('job.ready');
    expect(hub.view()).toMatchObject([{ connected: true }]);
  });

  test('when a worker holds a lease of a job nobody works on, it is told to drop it', () => {
    const { hub } = openHub();
    const { peer, sent } = peerOf(50, { jobId, leaseId: 'a' });
    hub.connect(peer);
    expect(sent).toMatchObject([{ type: 'job.close', jobId }]);
  });

  test('when a worker comes back to a restarted master, its job gets it at once', () => {
    const events: string[] = [];
    const desk = { onJoin: () => void events.push('join'), onMessage() {}, onAway() {}, onExpelled() {} };
    const { hub } = openHub(desk);
    hub.connect(peerOf(50, { jobId, leaseId: 'a' }).peer);
    expect(events).toEqual(['join']);
    expect(hub.idle()).toEqual([]);
  });

  test('expel closes the socket and frees the seat', () => {
    const { hub, desk, events } = openHub();
    const { peer, closed } = peerOf();
    hub.connect(peer);
    hub.assign(worker, jobId, desk);
    expect(hub.expel(worker, 'out')).toBe(true);
    expect(closed()).toBe('out');
    expect(events).toContain('expelled');
    expect(hub.expel(worker, 'out')).toBe(false);
  });

  test('speeds are measured ones only when every worker has one', () => {
    const { hub, desk } = openHub();
    hub.connect(peerOf(50).peer);
    hub.assign(worker, jobId, desk);
    expect(hub.speeds([worker]).get(worker)).toBe(50);
    hub.recordSpeed(worker, 3);
    expect(hub.speeds([worker]).get(worker)).toBe(3);
    expect(hub.measuredSpeed(worker)).toBe(3);
  });
});

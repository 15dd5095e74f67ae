/** Who is connected, who is assigned, and who hears of it. */
import { Address, JobId } from '../../../src/domain/ids';
import type { Assignment, AssignmentEvents } from '../../../src/fleet/assignment';
import { Fleet } from '../../../src/fleet/fleet';
import { silentLogger } from '../../../src/lib/logger';
import type { Peer } from '../../../src/link/gate';
import type { MasterMessageIn, Offer } from '../../../src/protocol/link';
import { noTraffic } from '../../support/master-rig-worker';

const worker = Address.parse(`0x${'1'.repeat(40)}`);
const jobId = JobId.parse(`0x${'2'.repeat(32)}`);

const devices = [8e9, 16e9].map((memoryBytes) => ({ name: 'test gpu', kind: 'cuda' as const, memoryBytes }));

/** A connection that remembers what was sent over it. */
function peerOf(powerCapacity = 50, held?: Offer['held']) {
  const sent: MasterMessageIn[] = [];
  let closed: string | undefined;
  const peer: Peer = {
    address: worker,
    offer: { version: '0', devices, powerCapacity, held },
    ip: '127.0.0.1',
    session: '',
    connectedAtMs: 0,
    traffic: noTraffic,
    send: (message) => void sent.push(message),
    pull: async () => undefined,
    close: (reason) => {
      closed = reason;
    },
  };
  return { peer, sent, closed: () => closed };
}

/**
 * A fleet with one user, whose jobs' events are written down; it finds its assignment for a held lease if
 * `finds`.
 */
function openFleet({ finds = false } = {}) {
  const events: string[] = [];
  const heard: AssignmentEvents = {
    onJoin: (_worker, held) => void events.push(held ? `join with ${held.leaseId}` : 'join'),
    onMessage: (_worker, message) => void events.push(message.type),
    onAway: () => void events.push('away'),
    onExpelled: () => void events.push('expelled'),
  };
  const assignment: Assignment = { kind: 'job', jobId, events: heard };
  const fleet = new Fleet({ logger: silentLogger });
  fleet.addUser({
    onIdle: () => void events.push('idle'),
    findAssignment: () => (finds ? assignment : undefined),
  });
  return { fleet, assignment, events };
}

test('worker through a whole assignment: idle, assigned, kept while away, idle again', () => {
  const { fleet, assignment, events } = openFleet();
  const first = peerOf();
  fleet.onConnect(first.peer);
  expect(fleet.idle()).toEqual([{ address: worker, gflops: 10, memoryBytes: 8e9, devices: 2 }]);
  fleet.assign(worker, assignment);
  expect(fleet.idle()).toEqual([]);
  fleet.onClose(first.peer, 'cut');
  expect(fleet.view()).toMatchObject([{ connected: false, jobId }]);
  fleet.onConnect(peerOf(50, { jobId, leaseId: 'a' }).peer);
  fleet.release(assignment, 'done');
  expect(events).toEqual(['idle', 'join', 'away', 'join with a', 'idle']);
  expect(fleet.idle()).toHaveLength(1);
});

test('old connection closes after a new one opened: nothing happens', () => {
  const { fleet, assignment, events } = openFleet();
  const old = peerOf();
  fleet.onConnect(old.peer);
  fleet.assign(worker, assignment);
  fleet.onConnect(peerOf().peer);
  fleet.onClose(old.peer, 'replaced');
  fleet.onMessage(old.peer, { type: 'job.ready', jobId });
  expect(events).not.toContain('away');
  expect(events).not.toContain('job.ready');
  expect(fleet.view()).toMatchObject([{ connected: true }]);
});

test('held lease that no user knows: the worker drops its job and is idle', () => {
  const { fleet } = openFleet();
  const { peer, sent } = peerOf(50, { jobId, leaseId: 'a' });
  fleet.onConnect(peer);
  expect(sent).toMatchObject([{ type: 'job.close', jobId }]);
  expect(fleet.idle()).toHaveLength(1);
});

test('held lease after a restart: the job gets its worker at once', () => {
  const { fleet, events } = openFleet({ finds: true });
  fleet.onConnect(peerOf(50, { jobId, leaseId: 'a' }).peer);
  expect(events).toEqual(['join with a']);
  expect(fleet.idle()).toEqual([]);
});

test('held lease, two users: the first that knows it gets the worker', () => {
  const { fleet, events } = openFleet();
  const second = openFleet();
  fleet.addUser({ onIdle: () => undefined, findAssignment: () => second.assignment });
  fleet.onConnect(peerOf(50, { jobId, leaseId: 'a' }).peer);
  expect(events).toEqual([]);
  expect(second.events).toEqual(['join with a']);
});

test('two users, an idle worker taken by the first: the second finds none', () => {
  const fleet = new Fleet({ logger: silentLogger });
  const { assignment } = openFleet();
  const found: number[] = [];
  fleet.addUser({ onIdle: () => fleet.assign(worker, assignment), findAssignment: () => undefined });
  fleet.addUser({ onIdle: () => void found.push(fleet.idle().length), findAssignment: () => undefined });
  fleet.onConnect(peerOf().peer);
  expect(found).toEqual([0]);
});

test('release: only the workers of that assignment are freed', () => {
  const { fleet, assignment } = openFleet();
  const other = openFleet().assignment;
  const { peer, sent } = peerOf();
  fleet.onConnect(peer);
  fleet.assign(worker, assignment);
  fleet.release(other, 'done');
  expect(sent).toEqual([]);
  fleet.release(assignment, 'done');
  expect(sent).toEqual([{ type: 'job.close', jobId, reason: 'done' }]);
});

test('release while the worker is away: it is forgotten', () => {
  const { fleet, assignment } = openFleet();
  const { peer } = peerOf();
  fleet.onConnect(peer);
  fleet.assign(worker, assignment);
  fleet.onClose(peer, 'cut');
  fleet.release(assignment, 'done');
  expect(fleet.view()).toEqual([]);
});

test('assign a busy worker: it keeps its assignment', () => {
  const { fleet, assignment, events } = openFleet();
  const other = openFleet();
  fleet.onConnect(peerOf().peer);
  fleet.assign(worker, assignment);
  fleet.assign(worker, other.assignment);
  expect(other.events).toEqual([]);
  expect(events).toEqual(['idle', 'join']);
});

test('expel: connection closed, assignment over, worker unknown', () => {
  const { fleet, assignment, events } = openFleet();
  const { peer, closed } = peerOf();
  fleet.onConnect(peer);
  fleet.assign(worker, assignment);
  expect(fleet.expel(worker, 'out')).toBe(true);
  expect(closed()).toBe('out');
  expect(events).toContain('expelled');
  expect(fleet.expel(worker, 'out')).toBe(false);
});

test('capacity of a worker with two devices: the memory of the smaller one', () => {
  const { fleet } = openFleet();
  fleet.onConnect(peerOf(50).peer);
  expect(fleet.capacityOf(worker)).toEqual({ gflops: 50, memoryBytes: 8e9, devices: 2 });
});

describe('speed in force', () => {
  const other = Address.parse(`0x${'3'.repeat(40)}`);
  const good = { worker, atMs: 0, source: 'probe', shape: 'S', gflops: 20, isOk: true } as const;

  test('nothing measured: a fifth of the announcement', () => {
    const { fleet } = openFleet();
    fleet.onConnect(peerOf(50).peer);
    expect(fleet.capacityGflops()).toBe(10);
  });

  test('measured: a tenth more than that, and all views show both', async () => {
    const { fleet } = openFleet();
    fleet.onConnect(peerOf(50).peer);
    await fleet.recordMeasurement(good);
    expect(fleet.idle()).toMatchObject([{ gflops: 22 }]);
    expect(fleet.view()).toMatchObject([{ gflops: 22, announcedGflops: 50, measuredGflops: 20 }]);
    expect(fleet.capacityOf(worker)?.gflops).toBe(22);
  });

  test('same devices as a measured worker: at most thrice its speed', async () => {
    const { fleet } = openFleet();
    fleet.onConnect(peerOf(50).peer);
    await fleet.recordMeasurement(good);
    fleet.onConnect({ ...peerOf(1e12).peer, address: other });
    expect(fleet.idle()).toMatchObject([{ gflops: 22 }, { address: other, gflops: 60 }]);
  });

  test('bad probe of a worker with a job: no work afterwards, the job judges for itself', async () => {
    const { fleet, assignment } = openFleet();
    fleet.onConnect(peerOf(50).peer);
    fleet.assign(worker, assignment);
    await fleet.recordMeasurement({ ...good, gflops: 0, isOk: false });
    expect(fleet.capacityOf(worker)?.gflops).toBe(50);
    fleet.release(assignment, 'done');
    expect(fleet.idle()).toEqual([]);
    expect(fleet.unassigned()).toHaveLength(1);
  });

  test('measurements in the store: they count from the first connection on', async () => {
    const rows = [{ ...good, gflops: 30 }];
    const added: unknown[] = [];
    const measurements = { recent: async () => rows, add: async (one: unknown) => void added.push(one) };
    const fleet = new Fleet({ logger: silentLogger, measurements });
    fleet.onConnect(peerOf(50).peer);
    expect(fleet.measurements(worker)).toBeUndefined();
    await fleet.recordMeasurement(good);
    expect(fleet.measurements(worker)).toEqual([...rows, good]);
    expect(added).toEqual([good]);
  });

  test('store fails to answer: unmeasured, and the next connection asks again', async () => {
    let asked = 0;
    const recent = () => {
      asked += 1;
      return Promise.reject(new Error('The database is away.'));
    };
    const fleet = new Fleet({ logger: silentLogger, measurements: { recent, add: async () => undefined } });
    for (let n = 0; n < 2; n++) {
      fleet.onConnect(peerOf(50).peer);
      await new Promise(setImmediate);
    }
    expect(asked).toBe(2);
    expect(fleet.capacityGflops()).toBe(10);
  });
});

test('probe gives way: the worker is idle, told to stop it, and has the job', () => {
  const { fleet, assignment, events } = openFleet();
  const probe = openFleet();
  const { peer, sent } = peerOf();
  fleet.onConnect(peer);
  fleet.assign(worker, { kind: 'probe', probeId: 'p', events: probe.assignment.events });
  expect(fleet.unassigned()).toEqual([]);
  expect(fleet.idle()).toHaveLength(1);
  fleet.assign(worker, { kind: 'probe', probeId: 'q', events: probe.assignment.events });
  expect(sent).toEqual([]);
  fleet.assign(worker, assignment);
  expect(sent).toMatchObject([{ type: 'probe.close', probeId: 'p' }]);
  expect(probe.events).toEqual(['join', 'expelled']);
  expect(events).toEqual(['idle', 'join']);
  expect(fleet.idle()).toEqual([]);
});

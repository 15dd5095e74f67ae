/** Which blobs a joined worker gets of its master: those of its own lease, and no others. */
import { Fleet } from '../../src/fleet/fleet';
import { silentLogger } from '../../src/lib/logger';
import { openTestClient, openTestServer, type TestClient, until } from '../support/link-pair';
import { blobName, grant, jobId, openJob } from '../support/worker-messages';

/** A master with two workers that have a job, and blobs that are none of a worker's business. */
async function openMaster(deps: Omit<ConstructorParameters<typeof Fleet>[0], 'logger'> = {}) {
  const fleet = new Fleet({ logger: silentLogger, ...deps });
  const nothing = { onJoin() {}, onMessage() {}, onAway() {}, onExpelled() {} };
  const assignment = { kind: 'job' as const, jobId: jobId('1'), events: nothing };
  fleet.addUser({ onIdle() {}, findAssignment: () => assignment });
  const mayPull = fleet.mayPull.bind(fleet);
  const server = await openTestServer({}, { handlers: fleet, mayPull });
  const store = async (text: string) => server.blobs.addBytes(Buffer.from(text));
  const blobs = {
    dataset: await store('the whole data set'),
    theta: await store('weights'),
    shard: await store('a shard'),
    delta: await store('a step'),
    otherShard: await store('the shard of another'),
    otherUpdate: await store('the update of another'),
    list: await store('the file list of a base'),
    weights: await store('the weights of that base'),
  };
  const join = async (client: TestClient) => {
    await until(() => fleet.peer(client.wallet.address));
    fleet.assign(client.wallet.address, assignment);
  };
  const give = async (client: TestClient, leaseId: string, named: Parameters<typeof grant>[1]) => {
    const before = client.messages.length;
    fleet.send(client.wallet.address, grant(leaseId, named));
    await until(() => client.messages.length > before);
  };
  return { fleet, server, blobs, join, give };
}

type Blobs = Awaited<ReturnType<typeof openMaster>>['blobs'];

/** Tries every blob; returns the names of those that arrived, and why the others did not. */
async function pullAll({ link, blobs: own }: TestClient, blobs: Blobs) {
  const got: string[] = [];
  const reasons = new Set<string>();
  for (const [name, blob] of Object.entries(blobs)) {
    await own.remove(blob.sha256);
    await link.pull(blob).then(
      () => got.push(name),
      (error) => reasons.add(error.detail.reason),
    );
  }
  return { got, reasons: [...reasons] };
}

test('worker asks for everything: it gets its shard, weights and step', async () => {
  const { server, blobs, join, give } = await openMaster();
  await using _server = server;
  await using worker = await openTestClient(server.url);
  await using other = await openTestClient(server.url);
  await join(worker);
  await join(other);
  const { shard, theta, otherShard } = blobs;
  await give(worker, 'one', { shard, theta, delta: { base: blobName('a'), blob: blobs.delta } });
  await give(other, 'two', { shard: otherShard, theta });

  const { got, reasons } = await pullAll(worker, blobs);
  expect(got).toEqual(['theta', 'shard', 'delta']);
  const missing = await worker.link.pull({ sha256: blobName('f'), bytes: 9 }).catch((error) => error.detail.reason);
  expect(reasons).toEqual([missing]);
  expect((await pullAll(other, blobs)).got).toEqual(['theta', 'otherShard']);
});

test.each([
  ['joined', []],
  ['lease revoked', [{ type: 'lease.revoke', leaseId: 'one', reason: 'over' } as const]],
  ['update judged', [{ type: 'update.verdict', leaseId: 'one', accepted: true } as const]],
])('%s: no blob is served', async (_name, after) => {
  const { fleet, server, blobs, join, give } = await openMaster();
  await using _server = server;
  await using worker = await openTestClient(server.url);
  await join(worker);
  if (after.length > 0) await give(worker, 'one', { shard: blobs.shard, theta: blobs.theta });
  for (const message of after) fleet.send(worker.wallet.address, message);
  expect((await pullAll(worker, blobs)).got).toEqual([]);
});

test('job closed: no blob is served', async () => {
  const { fleet, server, blobs, join, give } = await openMaster();
  await using _server = server;
  await using worker = await openTestClient(server.url);
  await join(worker);
  await give(worker, 'one', { shard: blobs.shard, theta: blobs.theta });
  fleet.dismiss(worker.wallet.address, 'it is not needed');
  expect((await pullAll(worker, blobs)).got).toEqual([]);
});

test('reconnected with its lease: it still gets what belongs to it', async () => {
  const { server, blobs, join, give } = await openMaster();
  await using _server = server;
  await using worker = await openTestClient(server.url);
  await join(worker);
  await give(worker, 'one', { shard: blobs.shard, theta: blobs.theta });
  const first = await server.peer(worker.wallet.address);
  first.close('the test cuts it');
  await until(() => worker.welcomes.length === 2);
  expect((await pullAll(worker, blobs)).got).toEqual(['theta', 'shard']);
});

test('lease of an earlier process of the master: its blobs are found in the store', async () => {
  const asked: unknown[] = [];
  const { server, blobs } = await openMaster({
    async leaseBlobs(worker, held) {
      asked.push([worker, held.leaseId]);
      return [blobs.shard.sha256];
    },
  });
  await using _server = server;
  const held = { jobId: jobId('1'), leaseId: 'one' };
  const devices = [{ name: 'test cpu', kind: 'cpu' as const, memoryBytes: 1 }];
  await using worker = await openTestClient(server.url, {}, { offer: () => ({ devices, powerCapacity: 1, held }) });
  expect((await pullAll(worker, blobs)).got).toEqual(['shard']);
  expect(asked[0]).toEqual([worker.wallet.address, 'one']);
});

test('job with a base: its worker gets list and files until it is closed', async () => {
  const lists: string[] = [];
  const { fleet, server, blobs, join, give } = await openMaster({
    async baseFiles(list) {
      lists.push(list);
      return [blobs.weights.sha256];
    },
  });
  await using _server = server;
  await using worker = await openTestClient(server.url);
  await using other = await openTestClient(server.url);
  await join(worker);
  await join(other);
  const { sha256: list, bytes: listBytes } = blobs.list;
  const size = { parameters: 1000, trainable: 100, baseBytes: blobs.weights.bytes, layers: 1, width: 16, hidden: 64 };
  fleet.send(worker.wallet.address, { ...openJob('1'), base: { reference: `sha256:${list}`, list, listBytes, size } });
  fleet.send(other.wallet.address, openJob('1'));
  expect((await pullAll(worker, blobs)).got).toEqual(['list', 'weights']);
  expect((await pullAll(other, blobs)).got).toEqual([]);
  await give(worker, 'one', { shard: blobs.shard, theta: blobs.theta });
  expect((await pullAll(worker, blobs)).got).toEqual(['theta', 'shard', 'list', 'weights']);
  expect(new Set(lists)).toEqual(new Set([list]));
  fleet.dismiss(worker.wallet.address, 'it is not needed');
  expect((await pullAll(worker, blobs)).got).toEqual([]);
});

test('worker that serves only its update: the master gets no other file of it', async () => {
  const { server } = await openMaster();
  await using _server = server;
  const named = new Set<string>();
  await using worker = await openTestClient(server.url, {}, { mayPull: (sha256) => named.has(sha256) });
  const [update, other] = [
    await worker.blobs.addBytes(Buffer.from('a')),
    await worker.blobs.addBytes(Buffer.from('b')),
  ];
  named.add(update.sha256);
  const peer = await server.peer(worker.wallet.address);
  await peer.pull(update);
  await expect(peer.pull(other)).rejects.toMatchObject({ detail: { code: 'link/unavailable' } });
});

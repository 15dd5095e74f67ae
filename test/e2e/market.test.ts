/** One market: masters that never met, two storages, and a requester and a verifier who need no master. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlobReader } from '../../src/app/blob-reader';
import { locationsOf, requireSubmission } from '../../src/app/chain-job';
import { BlobStore } from '../../src/blobs/blob-store';
import { openReadPass } from '../../src/blobs/read-pass';
import { RemoteBlobs } from '../../src/blobs/remote-blobs';
import type { JobId, Sha256 } from '../../src/domain/ids';
import { freePort } from '../../src/lib/free-port';
import { sha256 } from '../../src/lib/hash';
import type { RoleProcess } from '../../src/runner/cli-process';
import { type FurtherStorage, reconfigure, startFurtherMaster, startStorage, untilSo } from '../support/further-roles';
import { makeText, type Network, startNetwork } from '../support/network';
import { openScratch } from '../support/scratch';
import { tinyParams } from '../support/tiny-job';

// As small as a job can be: what is shown here is where its bytes are.
const params = { ...tinyParams, round: { steps: 20 } };

let network: Network;
let storages: Record<'a' | 'b' | 'mirror', FurtherStorage>;

beforeAll(async () => {
  const ports = { a: await freePort(), b: await freePort() };
  const url = (name: 'a' | 'b') => `http://127.0.0.1:${ports[name]}/api/v1`;
  const local = { allowPrivateStorages: true, pollMs: 200 };
  network = await startNetwork({
    workers: 1,
    master: { ...local, storageApi: url('b') },
    // It is configured with one storage, and learns of the other from references.
    verifier: { ...local, storageApi: url('a') },
  });
  await network.verifier[Symbol.asyncDispose]();
  await reconfigure(network.parties.requester, { storageApi: url('a'), ...local });
  const mirror = await startStorage(network, 'mirror', await freePort(), { ...local, peers: [url('a')] });
  storages = {
    mirror,
    a: await startStorage(network, 'storage-a', ports.a, { readers: [mirror.address] }),
    b: await startStorage(network, 'storage-b', ports.b),
  };
});
afterAll(async () => {
  for (const { role } of Object.values(storages ?? {})) await role[Symbol.asyncDispose]();
  await network?.[Symbol.asyncDispose]();
});

test.each(['first', 'second'] as const)('the %s master alone takes the job: all goes on without it', async (which) => {
  const { parties, chain } = network;
  await using second = which === 'second' ? await startFurtherMaster(network, () => ({})) : undefined;
  await second?.startWorker();
  const node = second?.address ?? parties.node.address;
  const jobId = await network.request(await network.writeText(`${which}.txt`, makeText(12_000)), params);
  await untilSo('The result is not submitted', async () => (await chain.job(jobId)).state === 'SUBMITTED');
  await kill(second?.master ?? network.master);

  const submission = await requireSubmission(chain, jobId);
  expect(submission.node).toBe(node);
  // The data lie in one storage, the result in the other; nobody was configured with both.
  expect(await namesOf(jobId)).toEqual({ dataset: [storages.a.url], result: [storages.b.url] });
  network.restart(parties.verifier);
  await untilSo('The result is not verified', async () => (await chain.job(jobId)).state === 'VERIFIED');
  await network.verifier[Symbol.asyncDispose]();

  const out = join(network.dir, `model-${which}`);
  await network.command(parties.requester, 'result', jobId, '--out', out);
  expect(await readdir(out)).toContain('model.safetensors');
});

test('storage with the data dies before anybody takes the job: a mirror has them', async () => {
  const { parties, chain } = network;
  const text = makeText(9000);
  const jobId = await network.request(await network.writeText('mirrored.txt', text), params);
  const sha = sha256(text) as Sha256;
  const copied = new RemoteBlobs(storages.mirror.url);
  await untilSo('The data are not copied', () =>
    copied.size(sha).then(
      () => true,
      () => false,
    ),
  );
  await kill(storages.a.role);
  await using scratch = await openScratch();
  const { configPath, dataDir } = parties.requester;
  const privateKeyFile = configPath.replace(/json$/, 'key');
  const reader = await openBlobReader({ config: { privateKeyFile }, dataDir, chain });
  const into = new BlobStore(scratch.path);
  await copied.download(sha, into, text.length, { pass: openReadPass(jobId, reader) });
  // Nobody else gets them for having a copy of its own to read from.
  await expect(copied.download(sha, new BlobStore(scratch.file('other')), text.length)).rejects.toMatchObject({
    code: 'blobs/no-access',
  });
  const log = await readFile(join(network.dir, 'mirror.log'), 'utf8');
  expect(log).toContain('Blobs of a job copied from other storages');
  const metrics = await (await fetch(storages.mirror.url.replace('/api/v1', '/metrics'))).text();
  expect(Number(/emeth_mirrored_blobs_total (\d+)/.exec(metrics)?.[1])).toBeGreaterThanOrEqual(1);
});

/** Returns the storages that the references on chain name, but for the node's own. */
async function namesOf(jobId: JobId) {
  const { chain } = network;
  const request = await chain.events(0, await chain.headBlock(), jobId);
  const [requested] = request.filter((event) => event.type === 'JobRequested');
  const dataset = requested?.type === 'JobRequested' ? requested.dataset.split('@')[1]?.split(',') : undefined;
  const locations = locationsOf(await requireSubmission(chain, jobId));
  return { dataset, result: locations.slice(0, 1) };
}

async function kill(role: RoleProcess): Promise<void> {
  process.kill(role.pid, 'SIGKILL');
  await role.exited;
}

/** Which blobs of a base belong to a job: by what its requester or its node names, and has shown to have. */
import { BlobStore } from '../../../src/blobs/blob-store';
import { Address, JobId, type Sha256 } from '../../../src/domain/ids';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import { type JobRecord, NamedBlobs } from '../../../src/storage/named-blobs';
import { honestManifest } from '../../support/manifest';
import { openScratch } from '../../support/scratch';
import { listBase, storeBase } from '../../support/tiny-base';

const [requester, node] = ['0a', '0b'].map((byte) => Address.parse(`0x${byte.repeat(20)}`)) as [Address, Address];
const jobId = JobId.parse(honestManifest().jobId);
const { list, files } = listBase();
const weights = files.find(({ name }) => name === 'model.safetensors')!.sha256;
const size = { parameters: 1000, trainable: 100, baseBytes: 5000, layers: 1, width: 16, hidden: 64 };

let scratch: Awaited<ReturnType<typeof openScratch>>;
let blobs: BlobStore;
beforeEach(async () => {
  scratch = await openScratch();
  blobs = new BlobStore(scratch.path);
});
afterEach(() => scratch[Symbol.asyncDispose]());

/** Returns what list, weights and another blob are to a job, where these accounts have these blobs. */
async function find(job: Partial<JobRecord>, has: Partial<Record<Address, Sha256[]>>) {
  const isHolder = async (name: Sha256, account: Address) => has[account]?.includes(name) ?? false;
  const named = new NamedBlobs({ blobs, isHolder });
  const dataset = `sha256:${'da'.repeat(32)}`;
  const record: JobRecord = { state: 'PROCESSING', deadlineMs: 1e15, requester, dataset, params: '{}', ...job };
  const other = 'ff'.repeat(32) as Sha256;
  return Promise.all([list, weights, other].map((name) => named.find(jobId, record, name)));
}

const asked = (base: string) => JSON.stringify({ tune: 'lora', base });
const held = (role: 'data' | 'work') => ({ role, isHeld: true });

test('requested base: list and files are data, as far as the requester has them', async () => {
  await storeBase(blobs);
  const params = asked(`sha256:${list}@https://storage.example/api/v1`);
  expect(await find({ params }, { [requester]: [list, weights] })).toEqual([held('data'), held('data'), undefined]);
  expect(await find({ params }, { [requester]: [list] })).toEqual([held('data'), undefined, undefined]);
  const unheld = { role: 'data', isHeld: false };
  expect(await find({ params }, { [node]: [list, weights] })).toEqual([unheld, undefined, undefined]);
});

test('list that is not here, or is no list: opens nothing else', async () => {
  const params = asked(`sha256:${list}`);
  expect(await find({ params }, { [requester]: [list, weights] })).toEqual([held('data'), undefined, undefined]);
  const { sha256: text } = await blobs.addBytes(Buffer.from(`["${weights}"]`));
  const found = await find({ params: asked(`sha256:${text}`) }, { [requester]: [text, weights] });
  expect(found).toEqual([undefined, undefined, undefined]);
});

test('base of a result: list and files are work of its node, as far as it has them', async () => {
  await storeBase(blobs);
  const base = { reference: 'hf:org/name', list, commit: '2a'.repeat(20), size };
  const manifest = Buffer.from(canonicalJson({ ...honestManifest(), base }));
  const result = (await blobs.addBytes(manifest)).sha256;
  expect(result).toBe(sha256(manifest));
  const job = { node, result, params: asked('hf:org/name') };
  const found = await find(job, { [node]: [result, list, weights] });
  expect(found).toEqual([held('work'), held('work'), undefined]);
  expect(await find(job, { [node]: [result, list] })).toEqual([
    held('work'),
    { role: 'work', isHeld: false },
    undefined,
  ]);
  expect(await find(job, { [requester]: [result, list, weights] })).toEqual([undefined, undefined, undefined]);
});

/** How the base of a job gets to a worker over a real link, stays there, and what is in its way. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BaseRig, type BaseWorker, openBaseRig } from '../../support/base-rig';
import { until } from '../../support/link-pair';

let rig: BaseRig;
beforeEach(async () => {
  rig = await openBaseRig();
});
afterEach(() => rig[Symbol.asyncDispose]());

/** Waits until a part of the weights is here, and returns how much. */
function midFetch({ blobs }: BaseWorker): Promise<number> {
  let bytes = 0;
  void (async () => {
    while (bytes < 2 ** 20) {
      bytes = await blobs.partBytes(rig.weights.sha256);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return until(() => bytes >= 2 ** 20 && bytes);
}

/** Makes the line so slow that a fetch is met in the middle. */
const slowly = () => rig.proxy.set('toClient', { bytesPerSecond: 40e6 });

test('base that is not here: fetched, and its directory named to the child', async () => {
  await using here = await rig.start();
  await here.send(rig.job('1'));
  await here.received('job.ready', '1');
  const path = here.cache.path(rig.list);
  expect(here.children.map(({ spec }) => 'base' in spec && spec.base)).toEqual([path]);
  const there = rig.server.blobs.path(rig.weights.sha256);
  expect((await readFile(join(path, 'model.safetensors'))).equals(await readFile(there))).toBe(true);
  expect(await here.blobs.stat(rig.weights.sha256)).toBeUndefined();
});

test('next job with the same base, also after a restart: nothing is fetched', async () => {
  for (const digit of ['1', '2', '3']) {
    await using here = await rig.start();
    await here.send(rig.job(digit));
    await here.received('job.ready', digit);
    rig.isServing = false;
  }
  expect(rig.asked.filter((sha256) => sha256 === rig.weights.sha256)).toHaveLength(1);
});

test('connection cut in the middle: the rest alone comes over the next', async () => {
  await using here = await rig.start();
  slowly();
  await here.send(rig.job('1'));
  await midFetch(here);
  rig.proxy.cut();
  await here.received('job.ready', '1');
  expect(rig.server.connects.length).toBeGreaterThan(1);
  expect(rig.proxy.passed.toClient).toBeLessThan(rig.weights.bytes * 1.5);
});

test('worker ends in the middle: it ends at once, and its next process goes on', async () => {
  slowly();
  const here = await rig.start();
  await here.send(rig.job('1'));
  await midFetch(here);
  await here[Symbol.asyncDispose]();
  expect(here.codes).toEqual([]);
  await using again = await rig.start();
  await again.send(rig.job('1'));
  await again.received('job.ready', '1');
  expect(rig.proxy.passed.toClient).toBeLessThan(rig.weights.bytes * 1.5);
});

test('master sends other bytes: declined, and nothing of them stays', async () => {
  const path = rig.server.blobs.path(rig.weights.sha256);
  const bytes = await readFile(path);
  bytes[4096]! ^= 1;
  await writeFile(path, bytes);
  await using here = await rig.start();
  await here.send(rig.job('1'));
  expect(await here.received('job.failed', '1')).toMatchObject({ code: 'link/corrupt' });
  await untilEmpty(here);
  expect([here.children, await here.cache.has(rig.list)]).toEqual([[], false]);
});

test.each([
  ['larger than baseCacheBytes', { maxBytes: 2 ** 20 }, { code: 'base/no-room', reason: 'baseCacheBytes' }],
  ['for a library that is lacking', { lacking: ['peft'] }, { code: 'worker/no-library', reason: 'peft' }],
])('base %s: declined with the reason before it is fetched', async (_what, options, { code, reason }) => {
  await using here = await rig.start(options);
  await here.send(rig.job('1'));
  const failed = await here.received('job.failed', '1');
  expect(failed).toMatchObject({ code, reason: expect.stringContaining(reason) });
  expect(rig.asked).toEqual([]);
});

test('job closed while its base arrives: its part goes, and another job opens', async () => {
  await using here = await rig.start();
  rig.proxy.set('toClient', { bytesPerSecond: 4e6 });
  await here.send(rig.job('1'));
  await midFetch(here);
  await here.send({ type: 'job.close', jobId: rig.job('1').jobId, reason: 'it is over' });
  await until(() => here.worker.state.kind === 'free');
  await untilEmpty(here);
  rig.proxy.set('toClient', {});
  await here.send(rig.job('2'));
  await here.received('job.ready', '2');
  expect(here.children).toHaveLength(1);
});

test('master that does not serve the base yet: it is asked again', async () => {
  rig.isServing = false;
  await using here = await rig.start();
  await here.send(rig.job('1'));
  await until(() => rig.asked.length > 0);
  rig.isServing = true;
  await here.received('job.ready', '1');
  expect(rig.server.messages.map(({ message }) => message.type)).not.toContain('job.failed');
});

test('list with more bytes than were announced: declined before its files are fetched', async () => {
  const job = rig.job('1');
  job.base!.size.baseBytes -= 1;
  await using here = await rig.start();
  await here.send(job);
  expect(await here.received('job.failed', '1')).toMatchObject({ code: 'base/too-large' });
  expect(rig.asked).toEqual([rig.list]);
});

/** Waits until no blob is left. */
async function untilEmpty({ blobs }: BaseWorker): Promise<void> {
  let left: unknown[] = [];
  for (const endMs = Date.now() + 20_000; Date.now() < endMs; ) {
    left = [];
    for await (const found of blobs.list()) left.push(found);
    if (left.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`Blobs are left: ${JSON.stringify(left)}`);
}

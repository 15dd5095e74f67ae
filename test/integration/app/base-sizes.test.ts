/** How a master learns the size of a base before it takes the job. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { openBaseSizes } from '../../../src/app/base-sizes';
import { parseParams } from '../../../src/commands/jobs/request-plan';
import type { JobId } from '../../../src/domain/ids';
import type { TunedParams } from '../../../src/protocol/job-params';
import { type HubServer, openHubServer } from '../../support/hub-server';
import { openScratch } from '../../support/scratch';
import { testWallet } from '../../support/test-job';
import { TINY_PARAMETERS, tinyBase } from '../../support/tiny-base';
import { jobId } from '../../support/worker-messages';

const job = { id: jobId('1') as JobId, requester: testWallet.address };
const tuned = (tuning: object) =>
  parseParams(JSON.stringify({ base: 'hf:tiny/base', ...tuning })).params as TunedParams;
const lora = { tune: 'lora', lora: { r: 2 } };

async function openSizes(hub: HubServer, dir: string, patienceMs?: number) {
  const options = {
    ...{ storages: [], allowPrivate: false, maxBytes: 1 << 20 },
    hub: { endpoint: hub.url, attempts: 1 },
  };
  const { signal } = new AbortController();
  return openBaseSizes({ options, dir, wallet: testWallet, signal, patienceMs });
}

test('base of two jobs: asked for once, and its weights are not fetched', async () => {
  await using scratch = await openScratch();
  await using hub = await openHubServer();
  hub.commit('tiny/base', tinyBase());
  const sizeBase = await openSizes(hub, scratch.file('apart'));
  const full = await sizeBase(job, tuned({ tune: 'full' }));
  expect(full).toMatchObject({ parameters: TINY_PARAMETERS, trainable: TINY_PARAMETERS, layers: 2, vocabSize: 64 });
  const asked = hub.asked.length;
  // Two blocks, of each of which one layer of 16 × 16 is adapted.
  expect(await sizeBase(job, tuned(lora))).toMatchObject({ trainable: 2 * 2 * (16 + 16) });
  expect(hub.asked).toHaveLength(asked);
  expect(hub.asked.filter((line) => line.includes('model.safetensors') && !line.includes('bytes='))).toEqual([]);
});

test('base that nobody could train: refused, and asked for again the next time', async () => {
  await using scratch = await openScratch();
  await using hub = await openHubServer();
  hub.commit('tiny/base', tinyBase({ 'config.json': JSON.stringify({ model_type: 't5', vocab_size: 64 }) }));
  const sizeBase = await openSizes(hub, scratch.file('apart'));
  await expect(sizeBase(job, tuned(lora))).rejects.toMatchObject({ code: 'base/architecture' });
  hub.commit('tiny/base', tinyBase());
  expect(await sizeBase(job, tuned(lora))).toMatchObject({ parameters: TINY_PARAMETERS + 128 });
});

test('hub that does not answer: given up, so that other jobs do not wait', async () => {
  await using scratch = await openScratch();
  await using silent = await openSilentServer();
  const sizeBase = await openSizes({ url: silent.url } as HubServer, scratch.file('apart'), 50);
  await expect(sizeBase(job, tuned(lora))).rejects.toMatchObject({ code: 'base/hub-away' });
});

async function openSilentServer() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => void server.close() };
}

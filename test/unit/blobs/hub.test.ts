/** A model hub: what its references mean, and its files under cuts, wrong hashes, refusals and redirects. */
import { readFile } from 'node:fs/promises';
import { BlobStore } from '../../../src/blobs/blob-store';
import { Hub, type HubFile, type HubPlace } from '../../../src/blobs/hub';
import type { Sha256 } from '../../../src/domain/ids';
import { sha256 } from '../../../src/lib/hash';
import { openHttpsServer, testCertificate } from '../../support/https-server';
import { LARGE_BYTES, openHubServer } from '../../support/hub-server';
import { openScratch } from '../../support/scratch';
import { tinyBase } from '../../support/tiny-base';

const repo = 'tiny/base';
const weights = tinyBase()['model.safetensors'] as Buffer;

/** A hub with one repository, a reader of it, and a store for what it reads. */
async function openPlace(more: Partial<HubPlace> = {}, options: Parameters<typeof openHubServer>[0] = {}) {
  const scratch = await openScratch();
  const server = await openHubServer(options);
  const commit = server.commit(repo, tinyBase());
  const hub = new Hub({ endpoint: server.url, attempts: 3, idleMs: 2000, ...more });
  const blobs = new BlobStore(scratch.path);
  const fileOf = async (name: string) => {
    const found = (await hub.resolve({ repo })).files.find((file) => file.name === name);
    server.asked.length = 0;
    return found as HubFile;
  };
  return {
    server,
    commit,
    hub,
    blobs,
    fileOf,
    fetch: (file: HubFile) => hub.download({ repo, commit }, file, blobs),
    content: (name: Sha256) => readFile(blobs.path(name)),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await scratch[Symbol.asyncDispose]();
    },
  };
}

describe('references', () => {
  test('branch: its commit, and the files of that commit however the branch moves', async () => {
    await using place = await openPlace();
    const found = await place.hub.resolve({ repo });
    expect(found).toMatchObject({ repo, commit: place.commit });
    expect(found.files.map(({ name }) => name)).toEqual(Object.keys(tinyBase()));
    const later = place.server.commit(repo, tinyBase({ 'README.md': 'moved' }));
    expect(later).not.toBe(place.commit);
    const readme = found.files.find(({ name }) => name === 'README.md') as HubFile;
    const { sha256: name } = await place.hub.download(found, readme, place.blobs);
    expect(await place.content(name)).toEqual(tinyBase()['README.md']);
    expect(await place.hub.resolve({ repo, revision: place.commit })).toEqual(found);
  });

  test('list of several pages, files in folders: all that lie in none', async () => {
    await using place = await openPlace({}, { pageSize: 2 });
    place.server.commit(repo, tinyBase({ 'onnx/model.onnx': 'x' }));
    const { files } = await place.hub.resolve({ repo });
    expect(files.map(({ name }) => name)).toEqual(Object.keys(tinyBase()));
    expect(files.find(({ name }) => name === 'model.safetensors')?.sha256).toBe(sha256(weights));
    expect(files.find(({ name }) => name === 'config.json')?.sha256).toBeUndefined();
  });

  test.each([
    ['base/missing', { repo: 'tiny/other' }, []],
    ['base/missing', { repo, revision: 'v9' }, []],
    ['base/no-access', { repo }, [{ path: 'revision', status: 403, code: 'GatedRepo' }]],
    ['base/no-access', { repo }, [{ path: 'revision', status: 401 }]],
    ['base/hub-away', { repo }, Array(3).fill({ path: 'revision', status: 429 })],
    ['base/hub-away', { repo }, Array(3).fill({ path: 'tree', status: 503 })],
    ['base/missing', { repo }, [{ path: 'revision', redirect: 'https://169.254.169.254/latest' }]],
    ['base/missing', { repo, revision: 'a1'.repeat(20) }, []],
  ])('%s: %j', async (code, reference, faults) => {
    await using place = await openPlace();
    place.server.faults.push(...faults);
    await expect(place.hub.resolve(reference)).rejects.toMatchObject({
      code,
      detail: { base: `hf:${reference.repo}` },
    });
    expect(place.server.faults).toEqual([]);
  });

  test('hub that is busy for a moment: asked again', async () => {
    await using place = await openPlace();
    place.server.faults.push({ path: 'revision', status: 429 }, { path: 'tree', status: 502 });
    expect(await place.hub.resolve({ repo })).toMatchObject({ commit: place.commit });
  });

  test('nothing listens there, or something else does: base/…', async () => {
    const away = new Hub({ endpoint: 'http://127.0.0.1:1', attempts: 1 });
    await expect(away.resolve({ repo })).rejects.toMatchObject({ code: 'base/hub-away' });
    await using page = await openHttpsServer((_request, response) => response.end('<html>'));
    const odd = new Hub({ endpoint: `https://localhost:${page.port}`, https: { ca: testCertificate } });
    await expect(odd.resolve({ repo })).rejects.toThrow(/no model hub/);
  });

  test('hub that answers for another commit than asked: base/missing', async () => {
    await using place = await openPlace();
    const file = await place.fileOf('model.safetensors');
    const commit = 'b2'.repeat(20);
    place.server.faults.push({ path: 'revision', commit }, { path: 'resolve', commit });
    await expect(place.hub.resolve({ repo, revision: place.commit })).rejects.toThrow(/answers for commit b2/);
    await expect(place.fetch(file)).rejects.toThrow(/answers for commit b2/);
  });

  test('private repository: for nobody, also where the token of this machine may read it', async () => {
    await using place = await openPlace({ token: 'mine' }, { token: 'mine' });
    place.server.commit('own/secret', tinyBase(), { isPrivate: true });
    await expect(place.hub.resolve({ repo: 'own/secret' })).rejects.toMatchObject({ code: 'base/private' });
    const stranger = new Hub({ endpoint: place.server.url });
    await expect(stranger.resolve({ repo: 'own/secret' })).rejects.toMatchObject({ code: 'base/missing' });
  });
});

describe('files', () => {
  test.each(Object.keys(tinyBase()))('%s: as the repository has it', async (name) => {
    await using place = await openPlace();
    const { sha256: blob, bytes } = await place.fetch(await place.fileOf(name));
    expect(await place.content(blob)).toEqual(tinyBase()[name]);
    expect(bytes).toBe(tinyBase()[name]?.length);
  });

  test('transfer that is cut twice: goes on where it was', async () => {
    await using place = await openPlace();
    const file = await place.fileOf('model.safetensors');
    for (let i = 0; i < 2; i++) place.server.faults.push({ path: 'resolve', cutAfter: 3000 });
    const { sha256: blob } = await place.fetch(file);
    expect(await place.content(blob)).toEqual(weights);
    const ranges = place.server.asked.map((line) => Number(/bytes=(\d+)-/.exec(line)?.[1] ?? 0));
    expect(ranges).toHaveLength(3);
    expect(ranges).toEqual([...ranges].sort((a, b) => a - b));
    expect(ranges[2]).toBeGreaterThan(0);
  });

  test('server that knows no ranges: begun again, and whole in the end', async () => {
    await using place = await openPlace();
    const file = await place.fileOf('model.safetensors');
    place.server.faults.push({ path: 'resolve', cutAfter: 3000 }, { path: 'resolve', whole: true });
    const { sha256: blob } = await place.fetch(file);
    expect(await place.content(blob)).toEqual(weights);
  });

  test.each([
    ['large', 'model.safetensors'],
    ['small', 'config.json'],
  ])('%s file with other bytes than listed: base/other-bytes, nothing stored', async (_size, name) => {
    await using place = await openPlace();
    const file = await place.fileOf(name);
    expect(file.bytes >= LARGE_BYTES).toBe(name === 'model.safetensors');
    const other = Buffer.from(tinyBase()[name] as Buffer);
    other[other.length - 2] = (other[other.length - 2] ?? 0) ^ 1;
    place.server.swap(repo, name, other);
    await expect(place.fetch(file)).rejects.toMatchObject({ code: 'base/other-bytes', detail: { file: name } });
    for (const bytes of [other, tinyBase()[name] as Buffer])
      expect(await place.blobs.stat(sha256(bytes) as Sha256)).toBeUndefined();
    place.server.swap(repo, name, Buffer.concat([weights, weights]));
    await expect(place.fetch(file)).rejects.toMatchObject({ code: 'base/other-bytes' });
  });

  test('part of a file: only that is asked for', async () => {
    await using place = await openPlace();
    const file = await place.fileOf('model.safetensors');
    expect(await place.hub.read({ repo, commit: place.commit }, file, 8, 100)).toEqual(weights.subarray(8, 108));
    place.server.faults.push({ path: 'resolve', whole: true });
    expect(await place.hub.read({ repo, commit: place.commit }, file, 8, 100)).toEqual(weights.subarray(8, 108));
    expect(place.server.asked.map((line) => line.split(' ')[2])).toEqual(['bytes=8-107', 'bytes=8-107']);
  });

  test('redirect elsewhere: followed without the token, and to no private address', async () => {
    const seen: (string | undefined)[] = [];
    await using elsewhere = await openHttpsServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end(weights);
    });
    const https = { ca: testCertificate, isAllowedAddress: (address: string) => address === '127.0.0.1' };
    await using place = await openPlace({ token: 'mine', https }, {});
    const file = await place.fileOf('model.safetensors');
    place.server.faults.push({ path: 'resolve', redirect: `https://127.0.0.2:${elsewhere.port}/x` });
    await expect(place.fetch(file)).rejects.toThrow(/127\.0\.0\.2 is not a public/);
    place.server.faults.push({ path: 'resolve', redirect: `https://127.0.0.1:${elsewhere.port}/x` });
    await place.fetch(file);
    expect(seen).toEqual([undefined]);
  });
});

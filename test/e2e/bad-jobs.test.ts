/** Jobs that cannot be trained, on the whole system. */
import type { JobId } from '../../src/domain/ids';
import { sha256 } from '../../src/lib/hash';
import { makeText, startNetwork, tinyParams } from '../support/network';

test('job that cannot be trained: not taken, with a reason; the next one is done', async () => {
  await using network = await startNetwork({
    workers: 1,
    master: { maxDatasetBytes: 100_000, allowFiles: true, max_fee: '30000000000000000000' },
  });
  const { requester } = network.parties;
  const upload = (name: string, content: string | Buffer) => network.writeText(name, content);
  const good = await upload('good.txt', makeText(20_000));
  const tooLarge = await upload('large.txt', makeText(150_000));
  const binary = await upload('binary.txt', Buffer.from([...Array(5000).keys()].map((i) => i % 256)));
  const tiny = await upload('tiny.txt', 'far too little');
  const emptyFile = await upload('empty.txt', '');

  // Straight to the contract, as a requester without our command line's own checks would.
  const direct = (dataset: string, params: string) =>
    requestDirectly(network.dir, requester.configPath, dataset, params);
  const promised = `https://127.0.0.1/data.txt#sha256=${sha256('other')}`;
  const cases: [string, RegExp, JobId][] = [
    ['missing', /cannot be fetched/, await direct(`sha256:${'ab'.repeat(32)}`, JSON.stringify(tinyParams))],
    ['empty', /is empty/, await direct(`file:${emptyFile}`, JSON.stringify(tinyParams))],
    ['too large', /limit here is 100000/, await direct(`file:${tooLarge}`, JSON.stringify(tinyParams))],
    ['not text', /text/, await direct(`file:${binary}`, JSON.stringify(tinyParams))],
    ['too small', /small/, await direct(`file:${tiny}`, JSON.stringify(tinyParams))],
    ['inside our network', /not a public https address/, await direct(promised, JSON.stringify(tinyParams))],
    ['bad reference', /reference/, await direct('ftp://example.org/data', JSON.stringify(tinyParams))],
    ['params not JSON', /not JSON/, await direct(`file:${good}`, '{"epochs":')],
    ['params out of range', /epochs/, await direct(`file:${good}`, '{"epochs":-1}')],
    ['unknown parameter', /epoch/i, await direct(`file:${good}`, '{"epoch":1}')],
  ];
  for (const [name, reason, jobId] of cases) {
    const job = await network.until(jobId, `${name}: not skipped`, ({ state }) => state === 'skipped');
    expect(`${name}: ${job.reason}`).toMatch(reason);
    expect(job.chainState).toBe('REQUESTED');
    const why = await fetch(`${network.parties.masterUrl}/api/v1/jobs/${jobId}/why`);
    expect(await why.json()).toEqual({ state: 'skipped', reason: job.reason });
  }

  const jobId = await network.request(good, { ...tinyParams, tokenizer: { type: 'bpe', vocabSize: 300 } });
  const job = await network.until(jobId, 'The good job does not end', ({ state }) => state === 'verified');
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
});

/** Requests through the client library, past the command line's checks. */
async function requestDirectly(dir: string, configPath: string, dataset: string, params: string): Promise<JobId> {
  const { openAccount } = await import('../../src/app/account.js');
  await using account = await openAccount({ config: configPath, dataDir: `${dir}/requester` });
  const deadlineMs = (await account.chain.nowMs()) + 3_600_000;
  const { jobId } = await account.emeth.request({ dataset, params, feeWei: 10n ** 18n, fuelLimit: 1000n, deadlineMs });
  return jobId;
}

/** The result of a trained job: its manifest has to satisfy the very checks a verifier makes. */

import { readFile } from 'node:fs/promises';
import { buildPayouts } from '../../../src/chain/acts/payouts';
import { Address } from '../../../src/domain/ids';
import { produceResult, type ResultOptions } from '../../../src/master/result';
import { runRounds } from '../../../src/master/training';
import type { StoredResult } from '../../../src/store/jobs';
import { findFlaw, readManifest } from '../../../src/verifier/manifest-checks';
import { FEE_WEI, FUEL_LIMIT, letPass, node, openTestJob, type TestJob } from '../../support/test-job';

const contract = Address.parse(`0x${'c0'.repeat(20)}`);
const options: ResultOptions = {
  chainId: 31337,
  contract,
  feeWei: FEE_WEI,
  fuelLimit: FUEL_LIMIT,
  commissionBps: 1000,
  payoutRoot: (shares) => buildPayouts(shares).root,
};

let rig: TestJob;
afterEach(() => rig[Symbol.asyncDispose]());

async function trainWith(workers: readonly number[]): Promise<void> {
  rig = await openTestJob({ workers });
  for (const worker of rig.workers) rig.connect(worker);
  let isOver = false;
  const trained = runRounds(rig.job).then(() => {
    isOver = true;
  });
  await letPass(rig.clock, () => isOver);
  await trained;
}

/** Reads the manifest as a verifier does that knows what is on chain. */
async function verify(result: StoredResult, fuelLimit = FUEL_LIMIT) {
  const { manifest, fuelUsed, payoutRoot } = result;
  const { jobId, plan } = rig.job;
  const onChain = { ...options, jobId, node, dataset: plan.dataset.reference, params: '{}', fuelLimit, submitBlock: 1 };
  const submitted = {
    ...onChain,
    params: JSON.stringify(plan.params),
    resultHash: `0x${manifest}`,
    locations: [],
    payoutRoot,
    fuelUsed,
  };
  const read = readManifest(await readFile(rig.blobs.path(manifest)), submitted);
  if ('code' in read) throw new Error(read.reason);
  return { manifest: read, flaw: findFlaw(read, submitted, options.payoutRoot) };
}

test('trained job: the verifier finds no flaw in its manifest', async () => {
  await trainWith([25, 75]);
  const result = await produceResult(rig.job, options);
  const { manifest, flaw } = await verify(result);
  expect(flaw).toBeUndefined();
  expect(manifest).toMatchObject({ totalBlocks: 16, fuelUsed: 16 * 64, validationLoss: { start: 5, end: 4 } });
});

test('several leases a round: recorded in fold order', async () => {
  await trainWith([75, 25]);
  const { manifest } = await verify(await produceResult(rig.job, options));
  const workers = manifest.rounds.map(({ leases }) => leases.map(({ worker }) => worker));
  const [first, second] = rig.workers.map(({ address }) => address);
  expect(workers).toEqual([
    [first, second],
    [first, second],
  ]);
});

test('weights of a round are not kept: the manifest says which are', async () => {
  await trainWith([50]);
  const whole = await verify(await produceResult(rig.job, options));
  expect(whole.manifest.evidence).toBeUndefined();
  await rig.blobs.remove(whole.manifest.rounds[1]!.theta);
  const thinned = await verify(await produceResult(rig.job, options));
  expect([thinned.manifest.evidence, thinned.flaw]).toEqual([{ thetaEvery: 8 }, undefined]);
});

test('produced again after a crash: the same manifest', async () => {
  await trainWith([50]);
  const result = await produceResult(rig.job, options);
  expect(await produceResult(await rig.reopen(), options)).toEqual(result);
});

test('more tokens merged than the fuel limit: paid up to the limit', async () => {
  await trainWith([50]);
  const result = await produceResult(rig.job, { ...options, fuelLimit: 1000n });
  expect(result.fuelUsed).toBe(1000n);
  expect(result.shares.reduce((sum, { amountWei }) => sum + amountWei, 0n)).toBe(FEE_WEI);
  expect((await verify(result, 1000n)).flaw).toBeUndefined();
});

test('blobs of a result: the model, the updates and the manifest, all there', async () => {
  await trainWith([50]);
  const result = await produceResult(rig.job, options);
  const { manifest } = await verify(result);
  const updates = manifest.rounds.flatMap(({ leases }) => leases.map(({ update }) => update));
  expect(result.blobs).toEqual([...manifest.model.map(({ sha256 }) => sha256), ...updates, result.manifest]);
  for (const blob of result.blobs) expect(await rig.blobs.stat(blob)).toBeDefined();
});

test('no round was folded: throws', async () => {
  rig = await openTestJob();
  await expect(produceResult(rig.job, options)).rejects.toThrow('has no folded round');
});

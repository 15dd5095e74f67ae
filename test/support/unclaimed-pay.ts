/** Verified jobs with unclaimed pay, for the tests of `emeth withdraw`. */
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResultRef } from '../../src/chain/acts/emeth';
import { buildPayouts } from '../../src/chain/acts/payouts';
import { type Address, JobId, type Sha256 } from '../../src/domain/ids';
import type { Share } from '../../src/domain/shares';
import { canonicalJson } from '../../src/lib/hash';
import type { JobRecord } from '../../src/storage/named-blobs';
import { type ClientChain, openClientChain, sampleDataset } from './client-chain';
import { honestManifest } from './manifest';
import { openTestStorage } from './storage';

export const FEE_WEI = 20n * 10n ** 18n;

/**
 * Verified jobs whose pay was not credited yet, with their manifests in a real storage that the configuration
 * names.
 */
export interface UnclaimedPay extends AsyncDisposable {
  readonly client: ClientChain;
  readonly storageApi: string;
  /** Makes a verified job with this payout list; its manifest is stored unless `isStored` is false. */
  verify(payouts: readonly Payout[], change?: { isStored?: boolean; isPaid?: boolean }): Promise<JobId>;
  /** Credits one of a job's payees as the node, as a master does with long lists. */
  credit(jobId: JobId, index: number): Promise<void>;
  /** Writes receipts of two rounds of each job into a data directory. */
  giveReceipts(dataDir: string, jobIds: readonly JobId[]): Promise<void>;
}

export interface Payout {
  worker: Address;
  amountWei: bigint;
}

export async function openUnclaimedPay(): Promise<UnclaimedPay> {
  const storage = await openTestStorage();
  const client = await openClientChain({ storageApi: storage.url });
  const verified = new Map<JobId, Verified>();
  return {
    client,
    storageApi: storage.url,
    async verify(payouts, { isStored = true, isPaid = false } = {}) {
      await using node = await client.openNode();
      const jobId = JobId.parse((await client.run(...request)).jobId);
      const shares = payouts.map((payout, index) => ({ ...payout, index, tokens: 1 }));
      const { root: payoutRoot } = buildPayouts(shares);
      const manifest = { ...honestManifest(jobId), payoutRoot, payouts: shares.map(toWire) };
      const { sha256 } = await storage.blobs.addBytes(Buffer.from(canonicalJson(manifest)));
      const ref: ResultRef = { jobId, resultHash: `0x${sha256}`, payoutRoot };
      await node.emeth.process(jobId);
      await node.emeth.submit(ref, 1000n, `sha256:${sha256}`);
      await client.run('accept', jobId);
      if (isPaid) await node.emeth.payWorkers(jobId, ref.resultHash, shares);
      verified.set(jobId, { ref, shares });
      storage.jobs.set(jobId, submittedBy(storage.wallet.address, sha256));
      if (!isStored) await storage.blobs.remove(sha256);
      return jobId;
    },
    async credit(jobId, index) {
      await using node = await client.openNode();
      const { ref, shares } = verified.get(jobId) as Verified;
      const proof = buildPayouts(shares).proofOf(index);
      await node.emeth.claim([{ ref, share: shares[index] as Share, proof }]);
    },
    async giveReceipts(dataDir, jobIds) {
      await mkdir(dataDir, { recursive: true });
      const lines = [0, 1].flatMap((round) =>
        jobIds.map((jobId) => `${JSON.stringify({ jobId, round, tokens: 64 })}\n`),
      );
      await appendFile(join(dataDir, 'receipts.jsonl'), lines.join(''));
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}

/** What the storage knows of a job: its node is the one account there that holds blobs. */
function submittedBy(node: Address, result: Sha256): JobRecord {
  return { state: 'VERIFIED', deadlineMs: Date.now(), requester: node, node, dataset: '', params: '{}', result };
}

interface Verified {
  ref: ResultRef;
  shares: Share[];
}

const request = ['request', '--dataset', sampleDataset, '--fee', '20emt', '--fuel-limit', '1000'];

function toWire({ amountWei, ...share }: Share) {
  return { ...share, amountWei: amountWei.toString() };
}

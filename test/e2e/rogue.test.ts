/** A cheating worker in a whole system. */
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { BlobStore } from '../../src/blobs/blob-store';
import { newAccount, openWallet, recoverTyped } from '../../src/chain/sending/wallet';
import { systemClock } from '../../src/lib/clock';
import { silentLogger } from '../../src/lib/logger';
import { version } from '../../src/lib/version';
import { openLinkClient } from '../../src/link/client';
import type { MasterMessage } from '../../src/protocol/link';
import type { OfferedLease } from '../../src/worker/state';
import { makeText, type Network, startNetwork, tinyParams } from '../support/network';

const Replayed = z.looseObject({
  jobId: z.string(),
  manifest: z.string(),
  leases: z.array(z.object({ name: z.string(), worker: z.string(), isWithin: z.boolean() })).min(1),
});

type Verdict = Extract<MasterMessage, { type: 'update.verdict' }>;

test('NaN, truncated or inflated updates: rejected, and others train the blocks', async () => {
  await using network = await startNetwork({ workers: 1 });
  const params = { ...tinyParams, codec: 'fp32', epochs: 1.5 };
  await using rogue = await openRogue(network);
  const jobId = await network.request(await network.writeText('text.txt', makeText(80_000)), params);
  const job = await network.until(jobId, 'The job does not end', ({ state }) => state === 'verified');

  expect(rogue.reasons).toHaveLength(3);
  expect(rogue.reasons[0]).toMatch(/finite|NaN/i);
  expect(rogue.reasons[2]).toMatch(/claims/);
  expect(rogue.wasClosed()).toBe(true);
  expect(job.ledger).toMatchObject({ minMerged: 1, maxMerged: 1 });
  expect(await network.chain.credit(rogue.address)).toBe(0n);

  const { requester } = network.parties;
  const rounds = job.rounds.filter(({ state }) => state === 'folded').length;
  const full = Replayed.parse(await network.command(requester, 'replay', jobId, '--full', '--threads', '1'));
  expect(full.leases.map(({ isWithin }) => isWithin)).toEqual(full.leases.map(() => true));
  expect(full).toMatchObject({ jobId, rounds });
  expect(full.leases.length).toBeGreaterThanOrEqual(rounds);
  const claim = await network.writeText('claim.json', JSON.stringify(falseClaim(full)));
  const answer = await network.command(requester, 'replay', jobId, '--evidence', claim);
  const [{ name } = {}] = full.leases;
  expect(answer).toMatchObject({ claim: 'does not hold', leases: [{ name, isWithin: true }] });
});

/** Evidence against the first lease, as a lying verifier would write it. */
function falseClaim({ jobId, manifest, leases }: z.infer<typeof Replayed>) {
  const [{ name = '', worker = '' } = {}] = leases;
  const [round, start] = name.split(':').map(Number);
  const claim = { format: 'emeth-evidence-1', chainId: 31337, contract: `0x${'00'.repeat(20)}`, jobId, manifest };
  const place = { round, lease: { worker, start, end: (start ?? 0) + 1 } };
  return { ...claim, ...place, code: 'verdict/lease', reason: 'made up', repeat: 'emeth replay' };
}

/** Opens a worker that authenticates properly and then cheats in three ways in turn. */
async function openRogue(network: Network) {
  const { chain, parties, dir } = network;
  const { privateKey } = await newAccount();
  const wallet = await openWallet({ privateKey }, chain.chainId);
  const blobs = new BlobStore(`${dir}/rogue`);
  const reasons: string[] = [];
  let isClosed = false;

  async function cheat(lease: OfferedLease): Promise<void> {
    await link.pull(lease.theta);
    const tokens = (lease.end - lease.start) * tinyParams.batch * tinyParams.model.context;
    const update = await forge(lease);
    const claim = reasons.length === 2 ? tokens + 1 : tokens;
    const claims = { tokens: claim, loss: 0.1, lossCurve: [0.1], seconds: 1, endTheta: lease.theta.sha256 };
    link.send({ type: 'lease.commit', leaseId: lease.leaseId, update, ...claims });
  }

  function onVerdict({ accepted, reason = '' }: Verdict): void {
    // An update too late for its round is not inspected; the next lease gets the same false one.
    if (!/round of this lease is closed/.test(reason)) reasons.push(accepted ? 'accepted' : reason);
  }

  /** Makes an update from the weights with every number NaN; the second time, only half of the file. */
  async function forge(lease: OfferedLease) {
    const bytes = await readFile(blobs.path(lease.theta.sha256));
    const body = 8 + Number(bytes.readBigUInt64LE(0));
    for (let place = body; place + 4 <= bytes.length; place += 4) bytes.writeFloatLE(Number.NaN, place);
    const path = `${dir}/forged-${lease.leaseId}`;
    await writeFile(path, reasons.length === 1 ? bytes.subarray(0, bytes.length / 2) : bytes);
    return blobs.add(path, { move: true });
  }

  const link = openLinkClient(
    {
      url: `${parties.masterUrl.replace('http', 'ws')}/link`,
      chainId: chain.chainId,
      masterAddress: parties.node.address,
      version,
    },
    {
      wallet,
      recoverTyped,
      blobs,
      mayPull: () => true,
      offer: () => ({ devices: [{ name: 'rogue', kind: 'cpu', memoryBytes: 2 ** 33 }], powerCapacity: 50 }),
      pinned: { load: async () => undefined, save: async () => undefined },
      handlers: {
        onWelcome() {},
        onClose() {},
        onMessage(message) {
          if (message.type === 'job.open') link.send({ type: 'job.ready', jobId: message.jobId });
          if (message.type === 'lease.grant') void cheat(message);
          if (message.type === 'update.verdict') onVerdict(message);
          if (message.type === 'job.close') isClosed = true;
        },
      },
      logger: silentLogger,
      clock: systemClock,
    },
  );
  return {
    address: wallet.address,
    reasons,
    wasClosed: () => isClosed,
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

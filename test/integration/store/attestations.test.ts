/** What verifiers put at a storage, with the same results on both databases. */
import { Address, JobId } from '../../../src/domain/ids';
import type { SignedAttestation } from '../../../src/protocol/storage';
import type { Store } from '../../../src/store/open';
import { describeEachDatabase } from '../../support/each-database';

jest.setTimeout(120_000);

const jobId = JobId.parse(`0x${'01'.repeat(16)}`);
const verifiers = ['0a', '0b'].map((byte) => Address.parse(`0x${byte.repeat(20)}`)) as [Address, Address];
const signed = (by: number, byte: string) => ({ verifier: verifiers[by]!, signature: `0x${byte.repeat(65)}` });
const commitment = `0x${'cc'.repeat(20)}`;
const accepted = { accepted: true } as const;
const rejected = (byte: string): SignedAttestation['verdict'] => ({
  accepted: false,
  reasonHash: `0x${byte.repeat(16)}`,
});

describeEachDatabase('what verifiers say', (database) => {
  let store: Store;
  beforeEach(async () => {
    store = await database.open();
  });

  test('attestations: of each verifier the latest for and the latest against a result', async () => {
    const { attestations } = store;
    const kept: SignedAttestation[] = [
      { ...signed(0, '03'), commitment, verdict: rejected('ee') },
      { ...signed(0, '02'), commitment, verdict: accepted },
      { ...signed(1, '04'), commitment, verdict: rejected('dd') },
    ];
    await attestations.put(jobId, { ...signed(0, '01'), commitment, verdict: rejected('dd') });
    for (const attestation of [...kept].reverse()) await attestations.put(jobId, attestation);
    expect(await attestations.list(jobId)).toEqual(kept);
    expect(await attestations.list(JobId.parse(`0x${'02'.repeat(16)}`))).toEqual([]);
  });

  test('requests for evidence: of each verifier the latest by its own time', async () => {
    const { evidenceRequests } = store;
    const request = (by: number, atMs: number) => ({ ...signed(by, '01'), reference: `sha256:θ ${atMs}`, atMs });
    for (const one of [request(0, 5), request(0, 7), request(0, 6), request(1, 1)])
      await evidenceRequests.put(jobId, one);
    expect(await evidenceRequests.list(jobId)).toEqual([request(0, 7), request(1, 1)]);
  });
});

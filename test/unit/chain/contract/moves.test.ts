/** The effect of each contract event on its job's state, as one table. */
import type { CoreEvent } from '../../../../src/chain/contract/events';
import { moveOf } from '../../../../src/chain/contract/moves';
import { Address, JobId } from '../../../../src/domain/ids';

const jobId = JobId.parse(`0x${'ab'.repeat(16)}`);
const node = Address.parse(`0x${'01'.repeat(20)}`);
const at = { jobId, blockNumber: 7, blockHash: '0xb1', txHash: '0xc1', logIndex: 0 };
const facts = {
  requester: Address.parse(`0x${'02'.repeat(20)}`),
  feeWei: 3n,
  fuelLimit: 4n,
  deadlineMs: 5,
  dataset: 'sha256:aa',
  params: '{}',
};
const result = { resultHash: '0x1', payoutRoot: '0x2', fuelUsed: 1n, payoutWei: 2n, result: 'sha256:bb' };

describe('moveOf', () => {
  test('request: the move carries the new job whole', () => {
    const request = { id: jobId, ...facts, requestedBlock: 7 };
    expect(moveOf({ ...at, type: 'JobRequested', ...facts })).toEqual({ jobId, state: 'REQUESTED', request });
  });

  test.each<{ event: CoreEvent; move: { state: string; node?: Address } }>([
    { event: { ...at, type: 'JobCanceled' }, move: { state: 'CANCELED' } },
    { event: { ...at, type: 'JobExpired' }, move: { state: 'TIMEOUT' } },
    { event: { ...at, type: 'JobTimedOut' }, move: { state: 'TIMEOUT' } },
    { event: { ...at, type: 'JobProcessing', node }, move: { state: 'PROCESSING', node } },
    { event: { ...at, type: 'JobDeclined', node, reopened: true }, move: { state: 'REQUESTED' } },
    { event: { ...at, type: 'JobDeclined', node, reopened: false }, move: { state: 'DECLINED' } },
    { event: { ...at, type: 'JobSubmitted', node, ...result }, move: { state: 'SUBMITTED', node } },
    { event: { ...at, type: 'JobVerified' }, move: { state: 'VERIFIED' } },
    { event: { ...at, type: 'JobRejected', reasonHash: `0x${'12'.repeat(16)}` }, move: { state: 'FAILED' } },
    { event: { ...at, type: 'JobChallenged', challenger: facts.requester }, move: { state: 'DISPUTED' } },
    { event: { ...at, type: 'JobUnwound' }, move: { state: 'UNVERIFIED' } },
  ])('$event.type: the job is then $move.state', ({ event, move }) => {
    expect(moveOf(event)).toEqual({ jobId, ...move });
  });

  test('pay of a worker: changes no state', () => {
    expect(moveOf({ ...at, type: 'WorkerPaid', worker: node, index: 0, amountWei: 1n })).toBeUndefined();
  });
});

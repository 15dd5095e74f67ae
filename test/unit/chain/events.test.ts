import { Interface, Log, type Provider } from 'ethers';
import { coreInterface, decodeEvent } from '../../../src/chain/events';

const jobId = `0x${'AB'.repeat(16)}`;
const who = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
const hash = `0x${'cd'.repeat(32)}`;

/** A log as the node would give it. */
function logOf(abi: Interface, name: string, values: unknown[]): Log {
  const fragment = abi.getEvent(name);
  if (!fragment) throw new Error(name);
  const { data, topics } = abi.encodeEventLog(fragment, values);
  const place = {
    blockNumber: 7,
    blockHash: hash,
    transactionHash: hash,
    transactionIndex: 0,
    index: 3,
    removed: false,
  };
  return new Log({ ...place, address: who, data, topics }, undefined as unknown as Provider);
}

const decode = (name: string, values: unknown[]) => decodeEvent(logOf(coreInterface, name, values));
const at = { jobId: jobId.toLowerCase(), blockNumber: 7, blockHash: hash, txHash: hash, logIndex: 3 };
const lower = who.toLowerCase();

describe('decodeEvent', () => {
  test.each([
    [
      'JobRequested',
      [jobId, who, 5n, 1n, 1000, 1_700_000_000, 0, 'sha256:aa', '{}'],
      {
        requester: lower,
        feeWei: 5n,
        fuelLimit: 1000n,
        deadlineMs: 1_700_000_000_000,
        dataset: 'sha256:aa',
        params: '{}',
      },
    ],
    ['JobCanceled', [jobId, 5n], {}],
    ['JobExpired', [jobId, 5n], {}],
    ['JobProcessing', [jobId, who, 5n], { node: lower }],
    ['JobDeclined', [jobId, who, true, 1n, 2n, 3n], { node: lower, reopened: true }],
    ['JobTimedOut', [jobId, who, 1n, 2n, 3n, who, 4n], {}],
    [
      'JobSubmitted',
      [jobId, who, hash, hash, 12, 34n, 'sha256:bb'],
      { node: lower, resultHash: hash, payoutRoot: hash, fuelUsed: 12n, payoutWei: 34n, result: 'sha256:bb' },
    ],
    ['JobVerified', [jobId, 0, 1n, 2n, 3n, who, 4n], {}],
    ['JobRejected', [jobId, hash, 1n, 2n, 3n, who, 4n], {}],
    ['JobChallenged', [jobId, who, 5n], { challenger: lower }],
    ['JobUnwound', [jobId, 1n, 2n, who, 3n], {}],
    ['WorkerPaid', [jobId, who, 2, 9n], { worker: lower, index: 2, amountWei: 9n }],
  ])('default: %s', (name, values, facts) => {
    expect(decode(name, values)).toEqual({ type: name, ...at, ...facts });
  });

  test.each([
    ['Deposited', [who, who, 1n]],
    ['PausedChanged', [true]],
  ])('when it is %s, it is nothing of a job’s', (name, values) => {
    expect(decode(name, values)).toBeUndefined();
  });

  test('when it is no event of the contract at all, it is nothing', () => {
    const foreign = new Interface(['event Surprise(uint256 amount)']);
    expect(decodeEvent(logOf(foreign, 'Surprise', [1n]))).toBeUndefined();
  });
});

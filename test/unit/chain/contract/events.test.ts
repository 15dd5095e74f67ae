import { Interface, Log, type Provider, zeroPadValue } from 'ethers';
import { coreInterface, decodeEvent } from '../../../../src/chain/contract/events';

const jobId = `0x${'AB'.repeat(16)}`;
const who = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
const hash = `0x${'cd'.repeat(32)}`;

/** A log as the node would give it. Fields that are not named are zero. */
function logOf(abi: Interface, name: string, values: Record<string, unknown>): Log {
  const fragment = abi.getEvent(name);
  if (!fragment) throw new Error(name);
  const strange = Object.keys(values).filter((key) => !fragment.inputs.some((input) => input.name === key));
  if (strange.length > 0) throw new Error(`${name} has no ${strange}`);
  const { data, topics } = abi.encodeEventLog(
    fragment,
    fragment.inputs.map((input) => values[input.name] ?? zeroOf(input.type)),
  );
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

function zeroOf(type: string): unknown {
  if (type === 'string') return '';
  if (type === 'bool') return false;
  return zeroPadValue('0x', type === 'address' ? 20 : Number(/^bytes(\d+)$/.exec(type)?.[1] ?? 32));
}

const decode = (name: string, values: Record<string, unknown>) => decodeEvent(logOf(coreInterface, name, values));
const at = { jobId: jobId.toLowerCase(), blockNumber: 7, blockHash: hash, txHash: hash, logIndex: 3 };
const lower = who.toLowerCase();

describe('decodeEvent', () => {
  test.each([
    [
      'JobRequested',
      { requester: who, fee: 5n, fuelLimit: 1000, deadline: 1_700_000_000, dataset: 'sha256:aa', params: '{}' },
      {
        requester: lower,
        feeWei: 5n,
        fuelLimit: 1000n,
        deadlineMs: 1_700_000_000_000,
        dataset: 'sha256:aa',
        params: '{}',
      },
    ],
    ['JobCanceled', {}, {}],
    ['JobExpired', {}, {}],
    ['JobProcessing', { node: who }, { node: lower }],
    ['JobDeclined', { node: who, reopened: true }, { node: lower, reopened: true }],
    ['JobTimedOut', {}, {}],
    [
      'JobSubmitted',
      { node: who, resultHash: hash, payoutRoot: hash, fuelUsed: 12, payout: 34n, result: 'sha256:bb' },
      { node: lower, resultHash: hash, payoutRoot: hash, fuelUsed: 12n, payoutWei: 34n, result: 'sha256:bb' },
    ],
    ['JobVerified', {}, {}],
    ['JobRejected', {}, {}],
    ['JobChallenged', { challenger: who }, { challenger: lower }],
    ['JobUnwound', {}, {}],
    ['WorkerPaid', { worker: who, index: 2, amount: 9n }, { worker: lower, index: 2, amountWei: 9n }],
  ])('default: %s', (name, values, facts) => {
    expect(decode(name, { jobId, ...values })).toMatchObject({ type: name, ...at, ...facts });
  });

  test.each([
    ['Deposited', { account: who, from: who, amount: 1n }],
    ['PausedChanged', { paused: true }],
  ])('when it is %s, it is nothing of a job’s', (name, values) => {
    expect(decode(name, values)).toBeUndefined();
  });

  test('when it is no event of the contract at all, it is nothing', () => {
    const foreign = new Interface(['event Surprise(uint256 amount)']);
    expect(decodeEvent(logOf(foreign, 'Surprise', { amount: 1n }))).toBeUndefined();
  });
});

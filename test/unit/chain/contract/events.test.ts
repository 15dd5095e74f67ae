/** The facts that each contract event decodes to, as one table. */
import { AbstractProvider, Interface, Log, zeroPadValue } from 'ethers';
import { coreInterface, decodeEvent } from '../../../../src/chain/contract/events';

const jobId = `0x${'AB'.repeat(16)}`;
const account = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
const hash = `0x${'cd'.repeat(32)}`;

/** Returns a log in the form a node sends. Fields without a value are zero. */
function logOf(abi: Interface, name: string, values: Record<string, unknown>): Log {
  const fragment = abi.getEvent(name);
  if (!fragment) throw new Error(name);
  const unknown = Object.keys(values).filter((key) => !fragment.inputs.some((input) => input.name === key));
  if (unknown.length > 0) throw new Error(`${name} has no ${unknown}`);
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
  return new Log({ ...place, address: account, data, topics }, new AbstractProvider(1));
}

function zeroOf(type: string): unknown {
  if (type === 'string') return '';
  if (type === 'bool') return false;
  return zeroPadValue('0x', type === 'address' ? 20 : Number(/^bytes(\d+)$/.exec(type)?.[1] ?? 32));
}

const decode = (name: string, values: Record<string, unknown>) => decodeEvent(logOf(coreInterface, name, values));
const at = { jobId: jobId.toLowerCase(), blockNumber: 7, blockHash: hash, txHash: hash, logIndex: 3 };
const lower = account.toLowerCase();

describe('decodeEvent', () => {
  test.each([
    [
      'JobRequested',
      { requester: account, fee: 5n, fuelLimit: 1000, deadline: 1_700_000_000, dataset: 'sha256:aa', params: '{}' },
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
    ['JobProcessing', { node: account }, { node: lower }],
    ['JobDeclined', { node: account, reopened: true }, { node: lower, reopened: true }],
    ['JobTimedOut', {}, {}],
    [
      'JobSubmitted',
      { node: account, resultHash: hash, payoutRoot: hash, fuelUsed: 12, payout: 34n, result: 'sha256:bb' },
      { node: lower, resultHash: hash, payoutRoot: hash, fuelUsed: 12n, payoutWei: 34n, result: 'sha256:bb' },
    ],
    ['JobVerified', {}, {}],
    ['JobRejected', { reasonHash: `0x${'12'.repeat(16)}` }, { reasonHash: `0x${'12'.repeat(16)}` }],
    ['JobChallenged', { challenger: account }, { challenger: lower }],
    ['JobUnwound', {}, {}],
    ['WorkerPaid', { worker: account, index: 2, amount: 9n }, { worker: lower, index: 2, amountWei: 9n }],
  ])('default: %s', (name, values, facts) => {
    expect(decode(name, { jobId, ...values })).toMatchObject({ type: name, ...at, ...facts });
  });

  test.each([
    ['Deposited', { account: account, from: account, amount: 1n }],
    ['PausedChanged', { paused: true }],
  ])('%s event: about no job, undefined', (name, values) => {
    expect(decode(name, values)).toBeUndefined();
  });

  test('event of another contract: undefined', () => {
    const foreign = new Interface(['event Surprise(uint256 amount)']);
    expect(decodeEvent(logOf(foreign, 'Surprise', { amount: 1n }))).toBeUndefined();
  });
});

/** The sentences for contract errors: one for every known error, with amounts and times spelled out. */
import { type ErrorFragment, encodeBytes32String, Interface } from 'ethers';
import { emethCoreAbi } from '../../../../src/chain/generated/emeth-core';
import { emethTokenAbi } from '../../../../src/chain/generated/emeth-token';
import { nodeRegistryAbi } from '../../../../src/chain/generated/node-registry';
import { rewardPoolAbi } from '../../../../src/chain/generated/reward-pool';
import { knownRefusals, refusalInWords } from '../../../../src/chain/sending/refusals';

const errors = new Map<string, ErrorFragment>();
for (const abi of [emethCoreAbi, emethTokenAbi, nodeRegistryAbi, rewardPoolAbi])
  new Interface(abi).forEachError((error) => errors.set(error.name, error));

const sample = (type: string) => {
  if (type === 'address') return `0x${'ab'.repeat(20)}`;
  if (type === 'bytes32') return encodeBytes32String('minFee');
  return type === 'bytes16' ? `0x${'cd'.repeat(16)}` : '1';
};

test.each(knownRefusals)('%s: an error of a contract, with a complete sentence', (name) => {
  const { inputs } = errors.get(name) ?? { inputs: undefined };
  expect(inputs).toBeDefined();
  const sentence = refusalInWords(name, inputs?.map(({ type }) => sample(type)) ?? []);
  expect(sentence).toContain(`(${name})`);
  expect(sentence).not.toMatch(/undefined|NaN/);
});

test('amounts and times: shown in EMT and as dates', () => {
  expect(refusalInWords('EmethCore_FeeTooLow', ['500000000000000000', '1000000000000000000'])).toBe(
    'a fee of 0.5 EMT is below the minimum of 1 EMT; offer more (EmethCore_FeeTooLow)',
  );
  expect(refusalInWords('EmethCore_DeadlineTooNear', ['1795274876', '1795274980'])).toBe(
    'the deadline 2026-11-21T15:27:56.000Z leaves too little time; choose one after 2026-11-21T15:29:40.000Z (EmethCore_DeadlineTooNear)',
  );
});

test('any other error: shown by name and arguments', () => {
  expect(refusalInWords('Some_Other', ['1', '2'])).toBe('Some_Other(1, 2)');
  expect(refusalInWords('Some_Other', [])).toBe('Some_Other');
});

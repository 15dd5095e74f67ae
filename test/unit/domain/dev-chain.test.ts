/** The two exceptions for development chains. */
import { isDevChain, minesOnDemand } from '../../../src/domain/dev-chain';

test.each([
  ['anvil or Hardhat', 31337, true, true],
  ['Ganache or a private network', 1337, true, false],
  ['Ethereum', 1, false, false],
])('%s: published keys and missing confirmations as expected', (_name, chainId, isDev, isOnDemand) => {
  expect(isDevChain(chainId)).toBe(isDev);
  expect(minesOnDemand(chainId)).toBe(isOnDemand);
});

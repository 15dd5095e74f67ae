import { type AddressLike, id, JsonRpcProvider, type TransactionRequest, Wallet } from 'ethers';
import { deployContracts, planDeployment } from '../../../../src/chain/deploy/deploy';
import { minedReceipt } from '../../../../src/chain/deploy/deployer';
import { Address } from '../../../../src/domain/ids';
import { type Anvil, devKeys, startAnvil } from '../../../../src/runner/anvil';

const [deployerKey, otherKey, secondKey] = devKeys;
const holder = Address.parse(new Wallet(deployerKey).address);
const verifier = Address.parse(new Wallet(otherKey).address);
const secondVerifier = Address.parse(new Wallet(secondKey).address);
const options = { holder, admin: holder, verifiers: [verifier, secondVerifier] };
const WORD = 64;

/** A node that says something untrue of a contract: of its code, or of one view, whose answer has one bit of one word wrong. */
class LyingProvider extends JsonRpcProvider {
  lie: { view: string; to: string; word: number; argument?: string } | { codeOf: string } | undefined;

  override async call(request: TransactionRequest): Promise<string> {
    const answer = await super.call(request);
    if (!this.lie || 'codeOf' in this.lie) return answer;
    const { view, to, word, argument = '' } = this.lie;
    const data = String(request.data);
    const isMeant = data.startsWith(id(view).slice(0, 10)) && data.includes(argument);
    return isMeant && String(request.to).toLowerCase() === to ? flipBit(answer, 1 + WORD * (word + 1)) : answer;
  }

  override async getCode(address: AddressLike): Promise<string> {
    const code = await super.getCode(address);
    const isMeant = this.lie && 'codeOf' in this.lie && this.lie.codeOf === String(address).toLowerCase();
    return isMeant ? flipBit(code, 2) : code;
  }
}

/** Hex with the lowest bit of one of its digits the other way round, so that true is told as false, too. */
function flipBit(hex: string, at: number): string {
  const digit = Number.parseInt(hex.charAt(at), 16);
  return `${hex.slice(0, at)}${(digit ^ 1).toString(16)}${hex.slice(at + 1)}`;
}

let anvil: Anvil;
let provider: LyingProvider;
let signer: Wallet;
beforeEach(async () => {
  anvil = await startAnvil();
  provider = new LyingProvider(anvil.url, 31337, { staticNetwork: true, cacheTimeout: -1 });
  provider.pollingInterval = 20;
  signer = new Wallet(deployerKey, provider);
});
afterEach(async () => {
  provider.destroy();
  await anvil[Symbol.asyncDispose]();
});

test('default: the contracts are where the plan said', async () => {
  const plan = await planDeployment(signer);
  expect(await deployContracts(signer, options, plan)).toMatchObject(plan.places);
  expect(await provider.getTransactionCount(holder)).toBe(5);
});

test('a receipt that the node knows a moment late, with no block to follow, is waited for and found', async () => {
  const asked = new Map<string, number>();
  const find = provider.getTransactionReceipt.bind(provider);
  provider.getTransactionReceipt = async (hash) => {
    const times = asked.get(hash) ?? 0;
    asked.set(hash, times + 1);
    if (times > 2) return find(hash);
    // So long that whoever watches for blocks has begun to, after the last one.
    await new Promise((resolve) => setTimeout(resolve, 100));
    return null;
  };
  await deployContracts(signer, options);
  expect(asked.size).toBe(5);
});

test.each([
  ['EmethToken.cap', 'cap()', 0, 'tokenContractAddress'],
  ['EmethToken.totalSupply', 'totalSupply()', 0, 'tokenContractAddress'],
  ['EmethToken.rewardPool', 'rewardPool()', 0, 'tokenContractAddress'],
  ['EmethToken.deployer', 'deployer()', 0, 'tokenContractAddress'],
  ['EmethCore.token', 'token()', 0, 'emethContractAddress'],
  ['EmethCore.registry', 'registry()', 0, 'emethContractAddress'],
  ['EmethCore.defaultAdmin', 'defaultAdmin()', 0, 'emethContractAddress'],
  ['EmethCore.terms.minFee', 'terms(uint8)', 0, 'emethContractAddress'],
  ['EmethCore.terms.quorum', 'terms(uint8)', 6, 'emethContractAddress'],
  ['EmethCore.terms.claimWindow', 'terms(uint8)', 9, 'emethContractAddress'],
  ['NodeRegistry.core', 'core()', 0, 'registryContractAddress'],
  ['NodeRegistry.token', 'token()', 0, 'registryContractAddress'],
  ['NodeRegistry.minStake', 'minStake()', 0, 'registryContractAddress'],
  ['RewardPool.core', 'core()', 0, 'rewardPoolContractAddress'],
  ['RewardPool.token', 'token()', 0, 'rewardPoolContractAddress'],
  ['RewardPool.registry', 'registry()', 0, 'rewardPoolContractAddress'],
  ['RewardPool.cap', 'cap()', 0, 'rewardPoolContractAddress'],
] as const)('throws chain/deploy-failed where %s is not what it should be', async (step, view, word, contract) => {
  const plan = await planDeployment(signer);
  provider.lie = { view, word, to: plan.places[contract] };
  await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
    detail: { code: 'chain/deploy-failed', step },
    message: expect.stringContaining('do not use these contracts'),
  });
});

test.each([['the first', verifier] as const, ['the last', secondVerifier] as const])(
  'throws chain/deploy-failed where %s of the verifiers may not judge',
  async (_, account) => {
    const plan = await planDeployment(signer);
    const to = plan.places.emethContractAddress;
    provider.lie = { view: 'hasRole(bytes32,address)', to, word: 0, argument: account.slice(2) };
    await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
      detail: { code: 'chain/deploy-failed', step: `verifier ${account}` },
      message: expect.stringContaining('is false instead of true'),
    });
  },
);

test.each([
  ['EmethToken', 'tokenContractAddress', 1],
  ['EmethCore', 'emethContractAddress', 2],
  ['NodeRegistry', 'registryContractAddress', 3],
  ['RewardPool', 'rewardPoolContractAddress', 4],
] as const)(
  'throws chain/deploy-failed, and goes no further, where the code of %s is another',
  async (name, place, sent) => {
    const plan = await planDeployment(signer);
    provider.lie = { codeOf: plan.places[place] };
    await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
      detail: { code: 'chain/deploy-failed', step: `deploying ${name}` },
      message: expect.stringContaining('do not use these contracts'),
    });
    expect(await provider.getTransactionCount(holder)).toBe(sent);
  },
);

test('throws chain/deploy-failed, and goes no further, when the account sends something else in between', async () => {
  const plan = await planDeployment(signer);
  await minedReceipt(await signer.sendTransaction({ to: verifier, value: 1n }));
  await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
    detail: { code: 'chain/deploy-failed', step: 'deploying EmethToken' },
    message: expect.stringContaining('sent something else meanwhile'),
  });
  expect(await provider.getTransactionCount(holder)).toBe(1);
});

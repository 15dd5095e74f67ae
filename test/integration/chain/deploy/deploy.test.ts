/** Deployment on a real chain, and its refusal when a node's answers differ from the plan. */
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

/** A provider that forges one bit of a contract's code, or of one word that a view returns. */
class ForgingProvider extends JsonRpcProvider {
  forgery: { view: string; to: string; word: number; argument?: string } | { codeOf: string } | undefined;

  override async call(request: TransactionRequest): Promise<string> {
    const answer = await super.call(request);
    if (!this.forgery || 'codeOf' in this.forgery) return answer;
    const { view, to, word, argument = '' } = this.forgery;
    const data = String(request.data);
    const isMeant = data.startsWith(id(view).slice(0, 10)) && data.includes(argument);
    return isMeant && String(request.to).toLowerCase() === to ? flipBit(answer, 1 + WORD * (word + 1)) : answer;
  }

  override async getCode(address: AddressLike): Promise<string> {
    const code = await super.getCode(address);
    const isMeant = this.forgery && 'codeOf' in this.forgery && this.forgery.codeOf === String(address).toLowerCase();
    return isMeant ? flipBit(code, 2) : code;
  }
}

/** Returns hex with the lowest bit of one digit flipped, which also turns true into false. */
function flipBit(hex: string, at: number): string {
  const digit = Number.parseInt(hex.charAt(at), 16);
  return `${hex.slice(0, at)}${(digit ^ 1).toString(16)}${hex.slice(at + 1)}`;
}

let anvil: Anvil;
let provider: ForgingProvider;
let signer: Wallet;
beforeEach(async () => {
  anvil = await startAnvil();
  provider = new ForgingProvider(anvil.url, 31337, { staticNetwork: true, cacheTimeout: -1 });
  provider.pollingInterval = 20;
  signer = new Wallet(deployerKey, provider);
});
afterEach(async () => {
  provider.destroy();
  await anvil[Symbol.asyncDispose]();
});

test('default: the contracts are at the planned addresses', async () => {
  const plan = await planDeployment(signer);
  expect(await deployContracts(signer, options, plan)).toMatchObject(plan.places);
  expect(await provider.getTransactionCount(holder)).toBe(5);
});

test('receipt known late, with no block after it: waited for and found', async () => {
  const asked = new Map<string, number>();
  const find = provider.getTransactionReceipt.bind(provider);
  provider.getTransactionReceipt = async (hash) => {
    const times = asked.get(hash) ?? 0;
    asked.set(hash, times + 1);
    if (times > 2) return find(hash);
    // Long enough that a watcher of new blocks would only start after the last one.
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
] as const)('%s differs from the plan: throws chain/deploy-failed', async (step, view, word, contract) => {
  const plan = await planDeployment(signer);
  provider.forgery = { view, word, to: plan.places[contract] };
  await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
    detail: { code: 'chain/deploy-failed', step },
    message: expect.stringContaining('do not use these contracts'),
  });
});

test.each([['first', verifier] as const, ['last', secondVerifier] as const])(
  '%s verifier lacks its role: throws chain/deploy-failed',
  async (_, account) => {
    const plan = await planDeployment(signer);
    const to = plan.places.emethContractAddress;
    provider.forgery = { view: 'hasRole(bytes32,address)', to, word: 0, argument: account.slice(2) };
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
] as const)('other code at %s: throws chain/deploy-failed and stops', async (name, place, sent) => {
  const plan = await planDeployment(signer);
  provider.forgery = { codeOf: plan.places[place] };
  await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
    detail: { code: 'chain/deploy-failed', step: `deploying ${name}` },
    message: expect.stringContaining('do not use these contracts'),
  });
  expect(await provider.getTransactionCount(holder)).toBe(sent);
});

test('account sends another transaction: throws chain/deploy-failed and stops', async () => {
  const plan = await planDeployment(signer);
  await minedReceipt(await signer.sendTransaction({ to: verifier, value: 1n }));
  await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
    detail: { code: 'chain/deploy-failed', step: 'deploying EmethToken' },
    message: expect.stringContaining('sent another transaction meanwhile'),
  });
  expect(await provider.getTransactionCount(holder)).toBe(1);
});

test.each([
  ['paris', 'Shanghai'],
  ['shanghai', 'Cancun'],
])('chain of %s: refused before the first transaction, for it lacks %s', async (hardfork, fork) => {
  await using old = await startAnvil({ hardfork });
  const outdated = new JsonRpcProvider(old.url, 31337, { staticNetwork: true, cacheTimeout: -1 });
  const deploying = deployContracts(new Wallet(deployerKey, outdated), options);
  await expect(deploying).rejects.toMatchObject({
    code: 'chain/too-old',
    message: expect.stringContaining(`${fork},`),
  });
  expect(await outdated.getTransactionCount(holder)).toBe(0);
  outdated.destroy();
});

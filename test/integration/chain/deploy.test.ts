import { id, JsonRpcProvider, type TransactionRequest, Wallet } from 'ethers';
import { deployContracts, planDeployment } from '../../../src/chain/deploy';
import { Address } from '../../../src/domain/ids';
import { type Anvil, devKeys, startAnvil } from '../../../src/runner/anvil';

const [deployerKey, otherKey] = devKeys;
const holder = Address.parse(new Wallet(deployerKey).address);
const verifier = Address.parse(new Wallet(otherKey).address);
const options = { holder, admin: holder, verifiers: [verifier] };
const WORD = 64;

/** A node that says something untrue of one view of the contracts: one word of the answer is another one. */
class LyingProvider extends JsonRpcProvider {
  lie: { view: string; to?: string; word: number } | undefined;

  override async call(request: TransactionRequest): Promise<string> {
    const answer = await super.call(request);
    const { view, to, word = 0 } = this.lie ?? {};
    const isMeant = view !== undefined && String(request.data).startsWith(id(view).slice(0, 10));
    if (!isMeant || (to !== undefined && String(request.to).toLowerCase() !== to)) return answer;
    const at = 2 + WORD * word;
    return `${answer.slice(0, at)}${'7'.padStart(WORD, '0')}${answer.slice(at + WORD)}`;
  }
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

test('throws chain/deploy-failed, and goes no further, when the account sends something else in between', async () => {
  const plan = await planDeployment(signer);
  await (await signer.sendTransaction({ to: verifier, value: 1n })).wait();
  await expect(deployContracts(signer, options, plan)).rejects.toMatchObject({
    detail: { code: 'chain/deploy-failed', step: 'deploying EmethToken' },
    message: expect.stringContaining('sent something else meanwhile'),
  });
  expect(await provider.getTransactionCount(holder)).toBe(1);
});

/** `deployContracts` on a real chain. */
import { id, JsonRpcProvider, parseEther, Wallet } from 'ethers';
import { deployContracts } from '../../src/chain/deploy/deploy';
import { openChain } from '../../src/chain/rpc/client';
import { Address } from '../../src/domain/ids';
import { type Anvil, devKeys, startAnvil } from '../../src/runner/anvil';
import { coreInterface } from '../support/escrow';

const [deployer, admin, verifier] = devKeys.map((key) => new Wallet(key)) as [Wallet, Wallet, Wallet];
const addressOf = (wallet: Wallet) => Address.parse(wallet.address);

let anvil: Anvil;
let provider: JsonRpcProvider;
beforeAll(async () => {
  anvil = await startAnvil();
  provider = new JsonRpcProvider(anvil.url, 31337, { staticNetwork: true, cacheTimeout: -1 });
  provider.pollingInterval = 20;
});
afterAll(async () => {
  provider?.destroy();
  await anvil?.[Symbol.asyncDispose]();
});

test('deployer is not the administrator: verifiers get their role all the same', async () => {
  const deployment = await deployContracts(deployer.connect(provider), {
    holder: addressOf(verifier),
    supplyWei: parseEther('5'),
    admin: addressOf(admin),
    verifiers: [addressOf(verifier)],
  });
  const { emethContractAddress: core, tokenContractAddress: token } = deployment;
  await using chain = await openChain({ endpoint: anvil.url, core, token, chainId: deployment.chainId });
  expect(await chain.tokenBalance(addressOf(verifier))).toBe(parseEther('5'));

  const hasRole = async (role: string, account: string) => {
    const data = coreInterface.encodeFunctionData('hasRole', [role, account]);
    return coreInterface.decodeFunctionResult('hasRole', await provider.call({ to: core, data }))[0];
  };
  expect(await hasRole(id('VERIFIER_ROLE'), verifier.address)).toBe(true);
  expect(await hasRole(id('VERIFIER_ROLE'), deployer.address)).toBe(false);
  expect(await hasRole(`0x${'0'.repeat(64)}`, deployer.address)).toBe(false);
});

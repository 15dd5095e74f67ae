/** Two real masters: one serves the board, the other takes a job that it only knows from there. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAdminClient } from '../../src/admin/client';
import { requestsIn } from '../../src/chain/acts/requests';
import { fundAccounts } from '../../src/chain/deploy/faucet';
import { newAccount } from '../../src/chain/sending/wallet';
import type { Party } from '../../src/demo/parties';
import { waitFor } from '../../src/demo/watch';
import type { JobId } from '../../src/domain/ids';
import { systemClock as clock } from '../../src/lib/clock';
import { freePort } from '../../src/lib/free-port';
import { BoardPage } from '../../src/protocol/board';
import { devKeys } from '../../src/runner/anvil';
import { type RoleProcess, startRole } from '../../src/runner/cli-process';
import { makeText, type Network, startNetwork, tinyParams } from '../support/network';

const EMT = 10n ** 18n;

test("job known only from another master's board: taken and finished", async () => {
  // Without workers the first master takes no job itself.
  await using network = await startNetwork({ workers: 0 });
  const { chain, parties } = network;
  const text = await network.writeText('text.txt', makeText(20_000));
  const open = await network.request(text, tinyParams);
  const cancelled = await network.request(text, { ...tinyParams, epochs: 2 });
  await network.command(parties.requester, 'cancel', cancelled);
  await until('The board does not list both jobs', async () => {
    const { jobs } = await readBoard(parties.masterUrl, 'status=REQUESTED,CANCELED');
    return jobs.filter(({ isFinal }) => isFinal).length === 2 && jobs.some(({ status }) => status === 'CANCELED');
  });
  const { total } = await readBoard(parties.masterUrl);
  expect(total).toBe(2);
  for (const jobId of [open, cancelled]) await expectAsOnChain(network, jobId);

  await using second = await startSecondMaster(network);
  await until('The second master does not know the open job', async () => {
    return (await second.admin.job(open)).state === 'queued';
  });
  // A job that the second master read from the chain itself would also be on its own board.
  expect(await readBoard(second.url)).toMatchObject({ total: 0, jobs: [] });
  await expect(second.admin.job(cancelled)).rejects.toThrow(cancelled);

  await second.startWorker();
  await until(
    'The second master does not end the job',
    async () => (await second.admin.job(open)).state === 'verified',
  );
  expect(await chain.job(open)).toMatchObject({ state: 'VERIFIED', node: second.address });
  await until('The board does not show the end of the job', async () => {
    const { status, isFinal } = await viewOf(parties.masterUrl, open);
    return status === 'VERIFIED' && isFinal;
  });
  await expectAsOnChain(network, open);
});

function until(what: string, check: () => Promise<boolean>): Promise<void> {
  return waitFor(what, check, { limitMs: 500_000, clock, signal: new AbortController().signal });
}

async function readBoard(masterUrl: string, query = ''): Promise<BoardPage> {
  return BoardPage.parse(await (await fetch(`${masterUrl}/api/v1/jobs?${query}`)).json());
}

async function viewOf(masterUrl: string, jobId: JobId) {
  const found = (await readBoard(masterUrl)).jobs.find((job) => job.jobId === jobId);
  if (!found) throw new Error(`${jobId} is not on the board`);
  return found;
}

/** Compares what the master's board says of a job with the contract's state and the log of the request. */
async function expectAsOnChain({ chain, parties }: Network, jobId: JobId): Promise<void> {
  const view = await viewOf(parties.masterUrl, jobId);
  const { state, node } = await chain.job(jobId);
  const request = (await requestsIn(chain, view.txHash)).find((one) => one.jobId === jobId);
  expect(request).toBeDefined();
  const { requester, dataset, params, deadlineMs } = request ?? {};
  expect(view).toMatchObject({ status: state, requester, dataset, params, deadlineMs, isFinal: true });
  expect([view.node, view.feeWei, view.fuelLimit]).toEqual([node, String(request?.feeWei), String(request?.fuelLimit)]);
}

/** Starts a second master that reads the chain from its own registration on and older jobs on the board. */
async function startSecondMaster(network: Network) {
  const { dir, parties, chain } = network;
  const base = JSON.parse(await readFile(parties.node.configPath, 'utf8')) as Record<string, unknown>;
  const { endpoint, chainId, emethContractAddress, tokenContractAddress, python } = base;
  const url = `http://127.0.0.1:${await freePort()}`;
  const settings = { ...base, my_url: url, storageApi: `${parties.masterUrl}/api/v1`, board_url: parties.masterUrl };
  const node = await addParty(dir, 'second-node', settings);
  const gift = { to: node.address, ethWei: EMT, emtWei: 100n * EMT };
  await fundAccounts(String(endpoint), { privateKey: devKeys[0] }, parties.token, [gift]);
  await network.command(node, 'register-node', '--organization', 'second', '--wallet-account', node.address);
  await configure(node, { ...settings, fromBlock: await chain.provider.getBlockNumber() });

  const roles: RoleProcess[] = [];
  const start = (command: string, party: Party) =>
    roles.push(startRole(party.role, [command, ...as(party)], join(dir, `${party.role}.log`)));
  start('master', node);
  return {
    url,
    address: node.address,
    admin: openAdminClient(url),
    async startWorker() {
      const places = { endpoint, chainId, emethContractAddress, tokenContractAddress, python };
      const master = { master_node_url: url, masterAddress: node.address };
      start('worker', await addParty(dir, 'second-worker', { ...places, ...master, threads: 1, powerCapacity: 50 }));
    },
    async [Symbol.asyncDispose]() {
      for (const role of roles.reverse()) await role[Symbol.asyncDispose]();
    },
  };
}

async function addParty(dir: string, role: string, settings: object): Promise<Party> {
  const { address, privateKey } = await newAccount();
  const party = { role, address, configPath: join(dir, `${role}.json`), dataDir: join(dir, role) };
  await mkdir(party.dataDir);
  await writeFile(join(dir, `${role}.key`), privateKey, { mode: 0o600 });
  await configure(party, settings);
  return party;
}

async function configure(party: Party, settings: object): Promise<void> {
  const privateKeyFile = party.configPath.replace(/json$/, 'key');
  await writeFile(party.configPath, JSON.stringify({ ...settings, privateKeyFile }), { mode: 0o600 });
}

function as(party: Party): string[] {
  return ['--config', party.configPath, '--data-dir', party.dataDir];
}

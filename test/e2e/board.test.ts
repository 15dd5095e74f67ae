/** Two real masters: one serves the board, the other takes a job that it only knows from there. */
import { requestsIn } from '../../src/chain/acts/requests';
import type { JobId } from '../../src/domain/ids';
import { BoardPage } from '../../src/protocol/board';
import { startFurtherMaster, untilSo } from '../support/further-roles';
import { makeText, type Network, startNetwork, tinyParams } from '../support/network';

test("job known only from another master's board: taken and finished", async () => {
  // Without workers the first master takes no job itself.
  await using network = await startNetwork({ workers: 0 });
  const { chain, parties } = network;
  const text = await network.writeText('text.txt', makeText(20_000));
  const open = await network.request(text, tinyParams);
  const cancelled = await network.request(text, { ...tinyParams, epochs: 2 });
  await network.command(parties.requester, 'cancel', cancelled);
  await untilSo('The board does not list both jobs', async () => {
    const { jobs } = await readBoard(parties.masterUrl, 'status=REQUESTED,CANCELED');
    return jobs.filter(({ isFinal }) => isFinal).length === 2 && jobs.some(({ status }) => status === 'CANCELED');
  });
  const { total } = await readBoard(parties.masterUrl);
  expect(total).toBe(2);
  for (const jobId of [open, cancelled]) await expectAsOnChain(network, jobId);

  await using second = await startFurtherMaster(network, (masterUrl) => ({
    storageApi: `${masterUrl}/api/v1`,
    board_url: masterUrl,
  }));
  await untilSo('The second master does not know the open job', async () => {
    return (await second.admin.job(open)).state === 'queued';
  });
  // A job that the second master read from the chain itself would also be on its own board.
  expect(await readBoard(second.url)).toMatchObject({ total: 0, jobs: [] });
  await expect(second.admin.job(cancelled)).rejects.toThrow(cancelled);

  await second.startWorker();
  await untilSo(
    'The second master does not end the job',
    async () => (await second.admin.job(open)).state === 'verified',
  );
  expect(await chain.job(open)).toMatchObject({ state: 'VERIFIED', node: second.address });
  await untilSo('The board does not show the end of the job', async () => {
    const { status, isFinal } = await viewOf(parties.masterUrl, open);
    return status === 'VERIFIED' && isFinal;
  });
  await expectAsOnChain(network, open);
});

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

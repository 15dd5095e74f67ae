/** Commands that are stopped while their transaction is signed and not mined yet. */
import type { JobId } from '../../../../src/domain/ids';
import { type ClientChain, openClientChain, sampleDataset } from '../../../support/client-chain';
import { until } from '../../../support/until';

let chain: ClientChain;

beforeAll(async () => {
  chain = await openClientChain();
}, 30_000);

afterAll(() => chain[Symbol.asyncDispose]());

test('request stopped while it waits: told what still counts, and how to undo it', async () => {
  await chain.provider.send('evm_setAutomine', [false]);
  const stopped = chain.runFailing('request', '--dataset', sampleDataset, '--fee', '10emt', '--deadline', '1h');
  await until(async () => (await chain.provider.send('txpool_status', [])).pending === '0x1');
  process.emit('SIGTERM', 'SIGTERM');
  const { status, code, message } = await stopped;
  expect([status, code]).toEqual([130, 'stopped']);
  const [, undo = '', jobId = ''] =
    /^Stopped by SIGTERM\. .*still counts.*Undo it with: emeth (cancel (\S+))$/.exec(message) ?? [];
  expect(undo).toBe(`cancel ${jobId}`);
  for (const name of ['SIGTERM', 'SIGINT']) process.removeAllListeners(name);

  await chain.provider.send('evm_setAutomine', [true]);
  await chain.provider.send('evm_mine', []);
  expect(await chain.run('cancel', jobId as JobId)).toMatchObject({ state: 'CANCELED', sent: true });
});

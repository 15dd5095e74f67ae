/** A node that keeps only the newer part of the chain: it is told from which block on it can be read. */
import { explainMissing, HistoryMissing } from '../../../../src/chain/reading/history-limit';
import { LogSource, NotReady } from '../../../../src/chain/reading/log-source';
import { NoEndpointAnswers } from '../../../../src/chain/rpc/endpoint-pool';
import { EndpointTrouble, RpcError } from '../../../../src/chain/rpc/rpc';
import { Address } from '../../../../src/domain/ids';

const FIRST = 4321;
const END = 1_000_000;
const words = 'pruned history unavailable';
const core = Address.parse(`0x${'12'.repeat(20)}`);
const { signal } = new AbortController();

/** A node that refuses logs, or does not know blocks, before the one that it begins with. */
function openPruned(lacks: 'logs' | 'blocks', first: number) {
  let asked = 0;
  const ask = async <T>(method: string, [param]: readonly unknown[]) => {
    asked += 1;
    const number = Number(method === 'eth_getLogs' ? (param as { fromBlock: string }).fromBlock : param);
    if (method === 'eth_getLogs') {
      if (number < first) throw new RpcError(-32_000, words);
      return { result: [] as T, by: 0 };
    }
    const isKnown = lacks === 'logs' || number >= first;
    return {
      result: (isKnown ? { number: `0x${number.toString(16)}`, hash: '0x', parentHash: '0x' } : null) as T,
      by: 0,
    };
  };
  const nodes = { ask, distrust: () => undefined, size: 1, nameOf: () => 'node' };
  return { source: new LogSource(nodes, core, signal), asked: () => asked };
}

test.each(['logs', 'blocks'] as const)('older %s missing: the first block that is served is named', async (lacks) => {
  const { source, asked } = openPruned(lacks, FIRST);
  const explaining = explainMissing(source, { from: 7, end: END }, new RpcError(-32_000, words));
  await expect(explaining).rejects.toThrow(HistoryMissing);
  await expect(explaining).rejects.toThrow(/only from chain block 4321 on, and block 7 is needed.*`fromBlock` to 4321/);
  await expect(explaining).rejects.toThrow(words);
  expect(asked()).toBeLessThan(60);
});

test.each([
  ['block served by now', 0, new NotReady('not yet')],
  ['newest block not served either', END + 1, new RpcError(-32_000, words)],
  ['nobody answers', FIRST, new NoEndpointAnswers([['node', new EndpointTrouble('slow', 'is slow')]])],
])('%s: the error itself', async (_situation, first, error) => {
  const { source } = openPruned('logs', first);
  await expect(explainMissing(source, { from: 7, end: END }, error)).rejects.toBe(error);
});

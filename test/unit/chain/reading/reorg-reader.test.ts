/** The tentative reader over a source whose block reads sometimes fail, without nodes. */
import { type ChainHeader, Disagreement } from '../../../../src/chain/reading/log-source';
import { ReorgReader, type TentativeBatch } from '../../../../src/chain/reading/reorg-reader';
import { silentLogger } from '../../../../src/lib/logger';

const HEAD = 40;
const hash = (number: number) => `0x${number}`;
const block = (number: number): ChainHeader => ({
  number,
  hash: hash(number),
  parentHash: hash(number - 1),
  logsBloom: '0x',
});

/** Opens a reader of blocks 0 to `HEAD`; `isUnreadable` decides by number and count which reads fail. */
function openReader(isUnreadable: (number: number, reading: number) => boolean) {
  let readings = 0;
  const batches: TentativeBatch[] = [];
  const source = { head: async () => block(HEAD), block: async (number: number) => block(number) };
  const blockEvents = async ({ number }: ChainHeader) => {
    readings += 1;
    if (isUnreadable(number, readings)) throw new Disagreement(`Nodes do not agree about block ${number}`);
    return [];
  };
  const tentative = new ReorgReader(undefined, 0, {
    reader: { source, blockEvents },
    logger: silentLogger,
    checkFinal: async () => undefined,
    onTentative: async (batch) => void batches.push(batch),
  });
  return { step: () => tentative.step(undefined), batches };
}

test('every longer reading fails: blocks read before count, the head is reached', async () => {
  const { step, batches } = openReader((_number, reading) => reading % 8 === 0);
  const steps: unknown[] = [];
  while (steps.at(-1) !== true && steps.length < 20) steps.push(await step().catch((error) => error));
  expect(batches.map(({ from }) => from)).toEqual([0, 7, 14, 21, 28, 35]);
  expect(batches.at(-1)?.cursor).toEqual({ number: HEAD, hash: hash(HEAD) });
  expect(steps.filter((outcome) => outcome instanceof Disagreement)).toEqual([]);
});

test('first block unreadable: throws its error', async () => {
  const { step, batches } = openReader((number) => number === 3);
  expect(await step()).toBe(false);
  await expect(step()).rejects.toThrow(Disagreement);
  expect(batches.map(({ cursor }) => cursor.number)).toEqual([2]);
});

/** Which block counts as final, by what a node says of the `finalized` tag and what is remembered. */
import { FinalityUnknown, finalNumber } from '../../../../src/chain/rpc/finality';
import { RpcError } from '../../../../src/chain/rpc/rpc';

const HEAD = 100;
const head = async () => HEAD;

/** A node that answers the question for the tag by this. */
const nodeOf = (answer: unknown) => ({
  ask: async <T>() => {
    if (answer instanceof Error) throw answer;
    return { result: answer as T, by: 0 };
  },
});

function memoryOf(isKnown: boolean) {
  return {
    isKnown,
    async hasTag() {
      return this.isKnown;
    },
    async noteTag() {
      this.isKnown = true;
    },
  };
}

const ruleOf = (isKnown: boolean) => ({ confirmations: 2, preferTag: true, memory: memoryOf(isKnown) });

test('block named: it is final, and the tag is remembered', async () => {
  const rule = ruleOf(false);
  expect(await finalNumber(rule, nodeOf({ number: '0x40' }), head)).toBe(64);
  expect(rule.memory.isKnown).toBe(true);
});

test.each([
  ['Unknown block', new RpcError(-39001, 'Unknown block')],
  ['finalized block not found', new RpcError(-32000, 'finalized block not found')],
  ['internal error', new RpcError(-32603, 'Internal error')],
  ['null', null],
])('"%s": waits, also where the tag was never seen', async (_words, answer) => {
  for (const isKnown of [false, true]) {
    await expect(finalNumber(ruleOf(isKnown), nodeOf(answer), head)).rejects.toThrow(FinalityUnknown);
  }
});

test.each([
  ['invalid argument 0: hex string without 0x prefix', -32602],
  ['Invalid params', -32602],
  ['tag not supported', -32000],
])('"%s": counts blocks, unless the tag was ever seen', async (words, code) => {
  const node = nodeOf(new RpcError(code, words));
  expect(await finalNumber(ruleOf(false), node, head)).toBe(HEAD - 2);
  await expect(finalNumber(ruleOf(true), node, head)).rejects.toThrow(/set `confirmations`/);
});

test('confirmations set: the tag is not asked for', async () => {
  const rule = { confirmations: 5, preferTag: false };
  expect(await finalNumber(rule, nodeOf(new Error('asked')), head)).toBe(HEAD - 5);
});

test('node that does not answer: its own error', async () => {
  await expect(finalNumber(ruleOf(false), nodeOf(new Error('gone')), head)).rejects.toThrow('gone');
});

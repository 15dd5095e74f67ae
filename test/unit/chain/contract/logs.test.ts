/** Raw logs decoded without ethers: equal to what ethers reads, and refused when malformed. */
import { Interface, type ParamType, toQuantity } from 'ethers';
import fc from 'fast-check';
import { readEvent } from '../../../../src/chain/contract/event-reader';
import { coreInterface } from '../../../../src/chain/contract/events';
import { decodeLog, type RawLog } from '../../../../src/chain/contract/logs';
import { emethCoreAbi } from '../../../../src/chain/generated/emeth-core';
import { errorCode } from '../../../../src/lib/errors';

const hash = `0x${'cd'.repeat(32)}`;
const jobId = `0x${'ab'.repeat(16)}`;
const account = `0x${'12'.repeat(20)}`;
const place = { txHash: hash, logIndex: 3 };

const names = emethCoreAbi.flatMap((item) => (item.type === 'event' ? [item.name] : []));
const readable = names.filter((name) => name !== 'TermsChanged');

function eventOf(name: string) {
  const fragment = coreInterface.getEvent(name);
  if (!fragment) throw new Error(name);
  return fragment;
}

/** Returns a log in the form of an eth_getLogs answer. */
function rawLog(name: string, values: readonly unknown[], abi = coreInterface): RawLog {
  const fragment = abi.getEvent(name);
  if (!fragment) throw new Error(name);
  const { data, topics } = abi.encodeEventLog(fragment, values);
  const at = { blockNumber: '0x7', blockHash: hash, transactionHash: hash, logIndex: '0x3' };
  // ethers' types allow a null topic, but the topic of an indexed value never is.
  return { ...at, address: account, data, topics: topics as string[] };
}

const bytesOf = (size: number) =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);

function anyOf({ type }: ParamType): fc.Arbitrary<unknown> {
  if (type === 'bool') return fc.boolean();
  if (type === 'address') return bytesOf(20);
  if (type === 'string') return fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 200 }));
  const [, base, size] = /^(uint|bytes)(\d+)$/.exec(type) ?? [];
  if (base === 'bytes') return bytesOf(Number(size));
  if (base !== 'uint') throw new Error(`No values for ${type}`);
  const max = 2n ** BigInt(size ?? 0) - 1n;
  return fc.oneof(fc.constant(0n), fc.constant(max), fc.bigInt({ min: 0n, max }));
}

const anyEvent = fc
  .constantFrom(...readable)
  .chain((name) =>
    fc.tuple(...eventOf(name).inputs.map(anyOf)).map((values) => ({ name, values, log: rawLog(name, values) })),
  );

/** Returns the event as ethers parses it, with addresses in lower case. */
function asEthersReads(log: RawLog) {
  const parsed = coreInterface.parseLog(log);
  if (!parsed) throw new Error('ethers does not know the event');
  const args = parsed.fragment.inputs.map(({ name, type }) => {
    const value: unknown = parsed.args.getValue(name);
    return [name, type === 'address' ? String(value).toLowerCase() : value];
  });
  return { type: parsed.name, args: Object.fromEntries(args) };
}

/** Returns whether a log decodes to an event or to nothing, or the code of the error it is refused with. */
function outcome(log: RawLog): string {
  try {
    return decodeLog(log) ? 'event' : 'nothing';
  } catch (error) {
    return errorCode(error);
  }
}

const replaceAt = (text: string, index: number, by: string) =>
  text.slice(0, index) + by + text.slice(index + by.length);
const hexWordOf = (value: bigint) => value.toString(16).padStart(64, '0');

describe('readEvent', () => {
  test('any event: every field reads as ethers reads it', () => {
    fc.assert(
      fc.property(anyEvent, ({ log }) => {
        expect(readEvent(log, place)).toEqual(asEthersReads(log));
      }),
      { numRuns: 1000 },
    );
  });

  test.each(readable)('%s with extreme values: reads as ethers reads it', (name) => {
    const { inputs } = eventOf(name);
    for (const isHigh of [false, true]) {
      const log = rawLog(
        name,
        inputs.map(({ type }) => extreme(type, isHigh)),
      );
      expect(readEvent(log, place)).toEqual(asEthersReads(log));
    }
  });

  test('event with a struct: undefined', () => {
    const [terms] = coreInterface.getEvent('TermsChanged')?.inputs.slice(1) ?? [];
    const log = rawLog('TermsChanged', [1, terms?.components?.map(() => 1) ?? []]);
    expect(readEvent(log, place)).toBeUndefined();
  });
});

function extreme(type: string, isHigh: boolean): unknown {
  if (type === 'bool') return isHigh;
  if (type === 'string') return isHigh ? '語🦊'.repeat(1000) : '';
  const bytes = type === 'address' ? 20 : Number(/\d+$/.exec(type)?.[0]) / (type.startsWith('uint') ? 8 : 1);
  const hex = `0x${(isHigh ? 'ff' : '00').repeat(bytes)}`;
  return type.startsWith('uint') ? BigInt(hex) : hex;
}

describe('decodeLog', () => {
  const canceled = rawLog('JobCanceled', [jobId, 5n]);
  const { inputs } = eventOf('JobSubmitted');
  const submitted = (result: string) =>
    rawLog(
      'JobSubmitted',
      inputs.map(({ name, type }) => (name === 'jobId' ? jobId : type === 'string' ? result : extreme(type, false))),
    );

  test('default: the event and its place', () => {
    expect(decodeLog(canceled)).toMatchObject({
      type: 'JobCanceled',
      jobId,
      blockNumber: 7,
      blockHash: hash,
      txHash: hash,
      logIndex: 3,
    });
  });

  test('hex in capitals: the same event', () => {
    const upper = (hex: string) => `0x${hex.slice(2).toUpperCase()}`;
    const log = rawLog('JobChallenged', [jobId, account, 2n ** 256n - 1n]);
    const capitals = { ...log, data: upper(log.data), topics: log.topics.map(upper) };
    expect(decodeLog(capitals)).toEqual(decodeLog(log));
  });

  test('invalid UTF-8 in a string: replaced, the log is not refused', () => {
    const log = submitted('aaaa');
    const data = log.data.replace('61616161', '61ff6180');
    expect(decodeLog({ ...log, data })).toMatchObject({ result: 'a\ufffda\ufffd' });
  });

  test('event about no job: undefined', () => {
    expect(decodeLog(rawLog('Deposited', [account, account, 1n]))).toBeUndefined();
    expect(decodeLog(rawLog('Surprise', [1n], new Interface(['event Surprise(uint256 amount)'])))).toBeUndefined();
    expect(decodeLog({ ...canceled, topics: [] })).toBeUndefined();
  });

  test.each<[string, Partial<Record<keyof RawLog, unknown>>]>([
    ['a pending block', { blockNumber: null }],
    ['no log index', { logIndex: undefined }],
    ['a log index of 2^64', { logIndex: toQuantity(2n ** 64n) }],
    ['no block hash', { blockHash: null }],
    ['half a transaction hash', { transactionHash: hash.slice(0, 34) }],
    ['no topics', { topics: null }],
    ['numbers as topics', { topics: [1, 2] }],
    ['a topic too many', { topics: [...canceled.topics, hash] }],
    ['a topic too few', { topics: canceled.topics.slice(0, 1) }],
    ['a job id of more than 16 bytes', { topics: [canceled.topics[0], hash] }],
    ['empty data', { data: '0x' }],
    ['data one byte short', { data: canceled.data.slice(0, -2) }],
    ['data that is not hex', { data: `${canceled.data.slice(0, -1)}g` }],
    ['no data field', { data: undefined }],
  ])('log with %s: refused', (_, changes) => {
    expect(outcome({ ...canceled, ...changes } as RawLog)).toBe('chain/bad-log');
  });

  test('refused log: the error names its transaction and index', () => {
    expect(() => decodeLog({ ...canceled, data: '0x' })).toThrow(
      expect.objectContaining({ detail: { code: 'chain/bad-log', txHash: hash, logIndex: 3 } }),
    );
  });

  test.each([
    ['the head', 0n],
    ['the end', 2n ** 20n],
    ['the farthest', 2n ** 256n - 1n],
  ])('string offset at %s: refused', (_, offset) => {
    const log = submitted('sha256:bb');
    const word = inputs.filter((input) => !input.indexed).findIndex(({ type }) => type === 'string');
    expect(outcome({ ...log, data: replaceAt(log.data, 2 + 64 * word, hexWordOf(offset)) })).toBe('chain/bad-log');
  });

  test.each([[33n], [2n ** 53n], [2n ** 256n - 1n]])('string length of %s bytes: refused', (length) => {
    const log = submitted('sha256:bb');
    expect(outcome({ ...log, data: replaceAt(log.data, log.data.length - 128, hexWordOf(length)) })).toBe(
      'chain/bad-log',
    );
  });

  test.each([
    ['an address', 'RegistryChanged', [account]],
    ['a bool', 'PausedChanged', [true]],
    ['a number', 'DefaultAdminDelayChangeScheduled', [1n, 2n]],
  ])('%s that is too wide: refused', (_, name, values) => {
    const log = rawLog(name, values);
    expect(outcome({ ...log, data: replaceAt(log.data, 2, 'ff') })).toBe('chain/bad-log');
  });

  test('any cut or flipped bit: an event, undefined or chain/bad-log', () => {
    const damage = fc.record({
      cut: fc.double({ min: 0, max: 1, noNaN: true }),
      at: fc.nat(),
      bit: fc.nat(3),
      topic: fc.boolean(),
    });
    const seen = new Set<string>();
    fc.assert(
      fc.property(anyEvent, damage, fc.boolean(), ({ log }, { cut, at, bit, topic }, isCut) => {
        const flip = (hex: string) => {
          const index = 2 + (at % Math.max(1, hex.length - 2));
          return replaceAt(hex, index, (Number.parseInt(hex[index] ?? '0', 16) ^ (1 << bit)).toString(16));
        };
        const change = isCut ? (hex: string) => hex.slice(0, Math.floor(cut * hex.length)) : flip;
        const index = at % log.topics.length;
        const changed = topic
          ? { ...log, topics: log.topics.map((word, i) => (i === index ? change(word) : word)) }
          : { ...log, data: change(log.data) };
        const result = outcome(changed);
        seen.add(result);
        expect(['event', 'nothing', 'chain/bad-log']).toContain(result);
      }),
      { numRuns: 1000 },
    );
    expect(seen.size).toBe(3);
  });
});

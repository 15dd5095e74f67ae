/** Decodes logs of the contract with plans made once from its ABI, several times as fast as ethers. */
import { Interface, type ParamType } from 'ethers';
import { AppError } from '../../lib/errors';
import { type EmethCoreEvents, emethCoreAbi } from '../generated/emeth-core';

export type LogError = { code: 'chain/bad-log'; txHash: string; logIndex: number };

/**
 * An event of the contract by its Solidity name. Arguments are as ethers decodes them, but addresses are
 * lower case.
 */
export type ContractEvent = {
  [Name in keyof EmethCoreEvents]: { type: Name; args: EmethCoreEvents[Name] };
}[keyof EmethCoreEvents];

/** The encoded part of a log: hex strings with `0x`. */
export interface LogWords {
  topics: readonly string[];
  data: string;
}

/** Identifies a log in errors. */
export interface LogPlace {
  txHash: string;
  logIndex: number;
}

interface Source {
  /** The data as lower-case hex, without `0x`. */
  data: string;
  /** Length of the part before the strings, in bytes. */
  headBytes: number;
  place: LogPlace;
}

/** Decodes a value from its 32 bytes, given as 64 lower-case hex digits. */
type ReadWord = (word: string, source: Source) => unknown;

interface Field {
  name: string;
  isIndexed: boolean;
  /** Index of the topic, or of the word in the data. */
  position: number;
  read: ReadWord;
}

interface Plan {
  name: string;
  topics: number;
  headBytes: number;
  fields: readonly Field[];
}

const WORD_BYTES = 32;
const WORD_DIGITS = 2 * WORD_BYTES;
const ADDRESS_DIGITS = 40;
const ADDRESS_PADDING = '0'.repeat(WORD_DIGITS - ADDRESS_DIGITS);
const DATA = /^0x(?:[0-9a-f]{64})*$/;
const TOPIC = /^0x[0-9a-f]{64}$/;

/** Plans by topic 0. An event with a struct or a list has none. */
const plans = new Map(planAll());

/**
 * Decodes a log, doing no more work than its values take. Returns undefined for an event that is not the
 * contract's or that carries a struct. Throws a `LogError` for a log that the contract cannot have written:
 * the node that returned it is at fault.
 */
export function readEvent(log: LogWords, place: LogPlace): ContractEvent | undefined {
  const topics = Array.isArray(log.topics) ? (log.topics as readonly string[]) : badLog(place, 'it has no topics');
  const plan = planFor(topics[0], place);
  if (!plan) return undefined;
  if (topics.length !== plan.topics)
    badLog(place, `${plan.name} has ${topics.length} topics instead of ${plan.topics}`);
  const data = hexOf(log.data, DATA, place);
  if (data.length < 2 * plan.headBytes) badLog(place, `${plan.name} has too little data`);
  const source = { data, headBytes: plan.headBytes, place };
  const args: Record<string, unknown> = {};
  for (const { name, isIndexed, position, read } of plan.fields) {
    const word = isIndexed ? hexOf(topics[position], TOPIC, place) : wordAt(data, position * WORD_DIGITS);
    args[name] = read(word, source);
  }
  return { type: plan.name, args } as unknown as ContractEvent;
}

/** Throws the error for a log that the contract cannot have written. */
export function badLog({ txHash, logIndex }: LogPlace, reason: string, cause?: unknown): never {
  throw new AppError<LogError>(
    { code: 'chain/bad-log', txHash, logIndex },
    `Log ${logIndex} of transaction ${txHash} cannot have been written by the contract (${reason}); ask another Ethereum node.`,
    { cause },
  );
}

function planFor(topic: string | undefined, place: LogPlace): Plan | undefined {
  // A log without topics is valid, but the contract writes none.
  if (topic === undefined) return undefined;
  return plans.get(topic) ?? plans.get(`0x${hexOf(topic, TOPIC, place)}`);
}

function hexOf(value: unknown, pattern: RegExp, place: LogPlace): string {
  if (typeof value !== 'string') return badLog(place, 'a part of it is missing');
  if (pattern.test(value)) return value.slice(2);
  const lower = value.toLowerCase();
  return pattern.test(lower) ? lower.slice(2) : badLog(place, 'it is not hex of whole words');
}

function wordAt(data: string, digit: number): string {
  return data.slice(digit, digit + WORD_DIGITS);
}

function planAll(): [string, Plan][] {
  const plans: [string, Plan][] = [];
  new Interface(emethCoreAbi).forEachEvent(({ name, topicHash, inputs }) => {
    const fields = planFields(inputs);
    if (!fields) return;
    const topics = 1 + fields.filter(({ isIndexed }) => isIndexed).length;
    const headBytes = (1 + fields.length - topics) * WORD_BYTES;
    plans.push([topicHash, { name, topics, headBytes, fields }]);
  });
  return plans;
}

function planFields(inputs: readonly ParamType[]): Field[] | undefined {
  const next = { topic: 1, word: 0 };
  const fields: Field[] = [];
  for (const { name, type, indexed } of inputs) {
    const read = readerOf(type, indexed === true);
    if (!read) return undefined;
    fields.push({ name, isIndexed: indexed === true, position: indexed ? next.topic++ : next.word++, read });
  }
  return fields;
}

function readerOf(type: string, isIndexed: boolean): ReadWord | undefined {
  if (type === 'address') return readAddress;
  if (type === 'bool') return readBool;
  // A log holds only the hash of an indexed string.
  if (type === 'string') return isIndexed ? undefined : readString;
  const [, base, size] = /^(uint|bytes)(\d+)$/.exec(type) ?? [];
  if (base === 'uint') return uintReader(Number(size) / 4);
  return base === 'bytes' ? bytesReader(Number(size) * 2) : undefined;
}

function readAddress(word: string, { place }: Source): string {
  if (!word.startsWith(ADDRESS_PADDING)) badLog(place, 'an address has more than 20 bytes');
  return `0x${word.slice(-ADDRESS_DIGITS)}`;
}

function readBool(word: string, { place }: Source): boolean {
  const value = Number(`0x${word}`);
  if (value > 1) badLog(place, 'a bool is neither true nor false');
  return value === 1;
}

function uintReader(digits: number): ReadWord {
  const padding = '0'.repeat(WORD_DIGITS - digits);
  return (word, { place }) => {
    if (!word.startsWith(padding)) badLog(place, 'a number is too large for its type');
    return BigInt(`0x${word}`);
  };
}

function bytesReader(digits: number): ReadWord {
  const padding = '0'.repeat(WORD_DIGITS - digits);
  return (word, { place }) => {
    if (!word.endsWith(padding)) badLog(place, 'bytes are too long for their type');
    return `0x${word.slice(0, digits)}`;
  };
}

/**
 * The requester of a job chooses these bytes. Invalid UTF-8 is replaced by U+FFFD and never refused:
 * otherwise one such job would stop every reader of the chain.
 */
function readString(word: string, { data, headBytes, place }: Source): string {
  const size = data.length / 2;
  const offset = Number(`0x${word}`);
  if (offset < headBytes || offset + WORD_BYTES > size) badLog(place, 'a string lies outside the data');
  const start = offset + WORD_BYTES;
  const length = Number(`0x${wordAt(data, 2 * offset)}`);
  if (length > size - start) badLog(place, 'a string is longer than the data');
  return Buffer.from(data.slice(2 * start, 2 * (start + length)), 'hex').toString('utf8');
}

/** The list of mutations finds its places in the contracts, and docs/mutations.md is about this list. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyChange } from '../support/source-change';
import { type Mutation, mutations, parseMutations } from './mutations/mutation';
import { reasons } from './mutations/reasons';
import { gate, isFor } from './mutations/score';

const sourcesDir = join(__dirname, '..', '..', 'src', 'contracts');
const sourceOf = (file: string) => readFileSync(join(sourcesDir, file), 'utf8');

test('every mutation: its text occurs once in the contract and changes', () => {
  const broken = mutations.flatMap((mutation) => {
    try {
      return applyChange(mutation, sourceOf(mutation.file)) === sourceOf(mutation.file) ? [mutation.name] : [];
    } catch (error) {
      return [String(error)];
    }
  });
  expect(broken).toEqual([]);
});

test('all mutations: many, with unique names, in every contract', () => {
  const names = mutations.map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(150);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  const contracts = readdirSync(sourcesDir).filter((name) => name.endsWith('.sol'));
  expect(contracts.filter((file) => !mutations.some((mutation) => mutation.file === file))).toEqual([]);
});

test('any two mutations: they make different mistakes', () => {
  const mistakes = mutations.map(({ file, find, replace }) => JSON.stringify([file, find, replace]));
  expect(mistakes.filter((mistake, i) => mistakes.indexOf(mistake) !== i)).toEqual([]);
});

test('text gone, there twice or unchanged: the mutation is refused', () => {
  const mutation = { name: 'Any/thing', file: 'Any.sol', find: 'a < b', replace: 'a <= b', why: 'None.' };
  expect(applyChange(mutation, 'if (a < b) {}')).toBe('if (a <= b) {}');
  expect(() => applyChange(mutation, 'if (a > b) {}')).toThrow('occurs 0 times in Any.sol');
  expect(() => applyChange(mutation, 'a < b; a < b;')).toThrow('occurs 2 times in Any.sol');
  expect(() => applyChange({ ...mutation, replace: 'a < b' }, 'a < b')).toThrow('changes nothing');
});

test('a file of mutations: unknown keys, missing texts and empty lists are refused', () => {
  const change = { name: 'thing', find: ['a', 'b'], replace: 'c', why: 'None.' };
  const parse = (changes: unknown) => parseMutations('Any', JSON.stringify(changes));
  expect(parse([change])).toMatchObject([{ name: 'Any/thing', file: 'Any.sol', find: 'a\nb', replace: 'c' }]);
  expect(() => parse([{ ...change, because: 'None.' }])).toThrow('because');
  expect(() => parse([{ ...change, why: '' }])).toThrow('why');
  expect(() => parse([{ ...change, missedByInvariants: 'any' }])).toThrow('missedByInvariants');
  expect(() => parse([])).toThrow();
});

/** docs/mutations.md, by chapter. */
const page = readFileSync(join(__dirname, '..', '..', 'docs', 'mutations.md'), 'utf8');
const chapters = new Map(page.split('\n## ').map((text) => [text.split('\n')[0], text]));
const chapter = (title: string) => chapters.get(title) ?? '';
const listed = (text: string) => [...text.matchAll(/^- (\w+\/[^:]+):/gm)].map((found) => found[1] ?? '');
const tabled = (text: string) =>
  text.split('\n### ').flatMap((part) => {
    const contract = part.split('.sol\n')[0];
    return [...part.matchAll(/^\| (.+?) \| `/gm)].map((found) => `${contract}/${found[1]?.replaceAll('\\|', '|')}`);
  });
function scoreOf(whose: string): { killed: number; counted: number } {
  const [, killed, counted] = new RegExp(`^- ${whose}: (\\d+) of (\\d+) noticed`, 'm').exec(page) ?? [];
  return { killed: Number(killed), counted: Number(counted) };
}
const namesOf = (chosen: readonly Mutation[]) => chosen.map(({ name }) => name).sort();
const counted = mutations.filter(({ equivalent }) => equivalent === undefined);

test('the page: it names every mutation once, and no other', () => {
  const noticed = tabled(chapter('Noticed, and by which test'));
  const missed = listed(chapter('Not noticed by any'));
  expect([...noticed, ...missed].sort()).toEqual(namesOf(counted));
  expect(listed(chapter('Not counted')).sort()).toEqual(namesOf(mutations.filter((mutation) => mutation.equivalent)));
  expect(scoreOf('Unit tests and invariants')).toEqual({ killed: noticed.length, counted: counted.length });
});

test('the page: 95 % are noticed, and the rest has reasons', () => {
  const both = scoreOf('Unit tests and invariants');
  expect(both.killed / both.counted).toBeGreaterThanOrEqual(gate);
  const reasonless = listed(chapter('Not noticed by any')).filter(
    (name) => !mutations.some((mutation) => mutation.name === name && mutation.unnoticed),
  );
  expect(reasonless).toEqual([]);
});

test('the invariants alone: a score, and a reason for each miss', () => {
  const theirs = counted.filter((mutation) => isFor('invariants', mutation));
  const missed = listed(chapter('What the invariants alone notice'));
  expect(theirs.length).toBeGreaterThanOrEqual(60);
  expect(scoreOf('Invariants alone, on the drawn mutations')).toEqual({
    killed: theirs.length - missed.length,
    counted: theirs.length,
  });
  expect(missed.filter((name) => !theirs.some((mutation) => mutation.name === name))).toEqual([]);
  expect(missed.sort()).toEqual(namesOf(theirs.filter(({ missedByInvariants }) => missedByInvariants)));
  for (const reason of Object.values(reasons)) expect(page).toContain(reason);
});

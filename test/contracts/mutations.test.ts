import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutations } from './mutations/all';
import { applyMutation, type Mutation } from './mutations/mutation';
import { gate, isFor } from './mutations/score';
import { reasons, unseen } from './mutations/unseen';

const sourcesDir = join(__dirname, '..', '..', 'src', 'contracts');
const sourceOf = (file: string) => readFileSync(join(sourcesDir, file), 'utf8');

test('every mutation of the contracts still finds its place, once, and changes it', () => {
  const broken = mutations.flatMap((mutation) => {
    try {
      return applyMutation(mutation, sourceOf(mutation.file)) === sourceOf(mutation.file) ? [mutation.name] : [];
    } catch (error) {
      return [String(error)];
    }
  });
  expect(broken).toEqual([]);
});

test('there are many, each with a name of its own, and no contract goes without', () => {
  const names = mutations.map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(150);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  const contracts = readdirSync(sourcesDir).filter((name) => name.endsWith('.sol'));
  expect(contracts.filter((file) => !mutations.some((mutation) => mutation.file === file))).toEqual([]);
});

test('no two mutations make the same mistake', () => {
  const mistakes = mutations.map(({ file, find, replace }) => JSON.stringify([file, find, replace]));
  expect(mistakes.filter((mistake, i) => mistakes.indexOf(mistake) !== i)).toEqual([]);
});

test('a mutation whose place is gone, or is there twice, is refused', () => {
  const mutation = { name: 'Any/thing', file: 'Any.sol', find: 'a < b', replace: 'a <= b', why: 'None.' };
  expect(applyMutation(mutation, 'if (a < b) {}')).toBe('if (a <= b) {}');
  expect(() => applyMutation(mutation, 'if (a > b) {}')).toThrow('occurs 0 times in Any.sol');
  expect(() => applyMutation(mutation, 'a < b; a < b;')).toThrow('occurs 2 times in Any.sol');
  expect(() => applyMutation({ ...mutation, replace: 'a < b' }, 'a < b')).toThrow('changes nothing');
});

/** What docs/mutations.md says, as its chapters. */
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

test('the page names every mutation of the list, once, and none besides', () => {
  const noticed = tabled(chapter('Noticed, and by which test'));
  const missed = listed(chapter('Not noticed by any'));
  expect([...noticed, ...missed].sort()).toEqual(namesOf(counted));
  expect(listed(chapter('Not counted')).sort()).toEqual(namesOf(mutations.filter((mutation) => mutation.equivalent)));
  expect(scoreOf('Unit tests and invariants')).toEqual({ killed: noticed.length, counted: counted.length });
});

test('of all mutations at least 95 % are noticed, and what is not has its reason', () => {
  const both = scoreOf('Unit tests and invariants');
  expect(both.killed / both.counted).toBeGreaterThanOrEqual(gate);
  const reasonless = listed(chapter('Not noticed by any')).filter(
    (name) => !mutations.some((mutation) => mutation.name === name && mutation.unnoticed),
  );
  expect(reasonless).toEqual([]);
});

test('the invariants alone have a score, and what they miss is named with the reason', () => {
  const theirs = counted.filter((mutation) => isFor('invariants', mutation));
  const missed = listed(chapter('What the invariants alone notice'));
  expect(theirs.length).toBeGreaterThanOrEqual(60);
  expect(scoreOf('Invariants alone, where they have to')).toEqual({
    killed: theirs.length - missed.length,
    counted: theirs.length,
  });
  expect(missed.filter((name) => !theirs.some((mutation) => mutation.name === name))).toEqual([]);
  expect(missed.sort()).toEqual(Object.keys(unseen).sort());
  for (const reason of Object.values(reasons)) expect(page).toContain(reason);
});

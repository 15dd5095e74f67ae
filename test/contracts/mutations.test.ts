import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutations } from '../../scripts/mutations';
import { applyMutation } from '../../scripts/mutations/mutation';

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

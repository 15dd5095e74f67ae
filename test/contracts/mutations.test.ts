import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutations } from '../../scripts/mutations';

const sources = join(__dirname, '..', '..', 'src', 'contracts');

// The faults themselves are tried by `npm run mutate:contracts`, which takes half an hour; here the list is kept from rotting.
describe('mutations', () => {
  test.each(mutations)('$file: $name', ({ file, find, replace }) => {
    const parts = readFileSync(join(sources, file), 'utf8').split(find);
    expect(parts).toHaveLength(2);
    expect(replace).not.toBe(find);
  });

  test('there are many, each of its own name', () => {
    expect(mutations.length).toBeGreaterThanOrEqual(100);
    expect(new Set(mutations.map(({ file, name }) => `${file} ${name}`)).size).toBe(mutations.length);
  });
});

/** What a bounded map keeps. */
import { BoundedMap } from '../../../src/lib/bounded-map';

test('one entry too many: the one set longest ago goes', () => {
  const map = new BoundedMap<string, number>(2);
  map.set('a', 1).set('b', 2).set('a', 3).set('c', 4);
  expect([...map]).toEqual([
    ['a', 3],
    ['c', 4],
  ]);
});

/** The memory of a chain's `finalized` tag, over restarts and between processes of one store. */
import { openTagMemory } from '../../../src/app/tag-memory';
import { openStore } from '../../../src/store/open';
import { openScratch } from '../../support/scratch';

test('tag seen once: known after a restart, of that chain only', async () => {
  await using scratch = await openScratch();
  const options = { kind: 'sqlite', path: scratch.file('queue.sqlite') } as const;
  {
    await using store = await openStore(options);
    const [memory, rival] = [openTagMemory(store, 4242), openTagMemory(store, 4242)];
    expect(await memory.hasTag()).toBe(false);
    await Promise.all([memory.noteTag(), rival.noteTag()]);
  }
  await using store = await openStore(options);
  expect(await openTagMemory(store, 4242).hasTag()).toBe(true);
  expect(await openTagMemory(store, 1).hasTag()).toBe(false);
});

/** Keeps in a role's store that its chain has a `finalized` tag. */
import type { TagMemory } from '../chain/rpc/finality';
import type { Store } from '../store/open';

/** Remembers the tag of one chain; writes once. */
export function openTagMemory({ cursors }: Pick<Store, 'cursors'>, chainId: number): TagMemory {
  const id = `finalized:${chainId}`;
  let isKnown = false;
  const hasTag = async () => {
    isKnown ||= (await cursors.find(id)) !== undefined;
    return isKnown;
  };
  return {
    hasTag,
    async noteTag() {
      if (await hasTag()) return;
      // Another process of the same store may be faster; then the row is there.
      await cursors.save(id, { number: 0, hash: '' }).catch(async (error: unknown) => {
        if (!(await hasTag())) throw error;
      });
      isKnown = true;
    },
  };
}

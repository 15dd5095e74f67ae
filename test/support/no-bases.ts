/** The bases of a master whose jobs have none. */
import type { MasterStorage } from '../../src/master/ports';

export const noBases: Pick<MasterStorage, 'sizeBase' | 'fetchBase' | 'openBase'> = {
  sizeBase: async () => {
    throw new Error('no job of this test starts from a base');
  },
  fetchBase: async () => {
    throw new Error('no job of this test starts from a base');
  },
  openBase: async () => {
    throw new Error('no job of this test starts from a base');
  },
};

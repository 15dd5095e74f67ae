/** The mistakes that the tests of the contracts have to notice; `mutate-contracts.ts` tries them. */
import { accountMutations } from './account';
import { escrowMutations } from './escrow';
import { governedMutations } from './governed';
import { jobMutations } from './jobs';
import { judgeMutations } from './judge';
import { moneyMutations } from './money';
import type { Mutation } from './mutation';
import { payMutations } from './pay';
import { registryMutations } from './registry';
import { rewardMutations } from './rewards';
import { verdictMutations } from './verdicts';

export const mutations: readonly Mutation[] = [
  ...escrowMutations,
  ...jobMutations,
  ...verdictMutations,
  ...judgeMutations,
  ...payMutations,
  ...moneyMutations,
  ...accountMutations,
  ...governedMutations,
  ...registryMutations,
  ...rewardMutations,
];

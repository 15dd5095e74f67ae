/** The mistakes that the tests of the contracts have to notice; `mutate-contracts.ts` tries them. */
import { accountMutations } from './mutations/account';
import { escrowMutations } from './mutations/escrow';
import { governedMutations } from './mutations/governed';
import { jobMutations } from './mutations/jobs';
import { judgeMutations } from './mutations/judge';
import { moneyMutations } from './mutations/money';
import type { Mutation } from './mutations/mutation';
import { payMutations } from './mutations/pay';
import { registryMutations } from './mutations/registry';
import { rewardMutations } from './mutations/rewards';
import { verdictMutations } from './mutations/verdicts';

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

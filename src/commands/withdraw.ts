import type { Command } from 'commander';
import type { Claim } from '../chain/emeth';
import type { Rewards, SlotReward } from '../chain/rewards';
import { formatEmt } from '../domain/emt';
import type { Address } from '../domain/ids';
import type { Account } from './account';
import { amount, type CommonOptions, example } from './options';
import { printJson, printLines, talk } from './print';

interface WithdrawOptions extends CommonOptions {
  to?: string | undefined;
  dryRun?: boolean | undefined;
  storage?: string | undefined;
  sign?: boolean | undefined;
  tip?: bigint | undefined;
  relay?: string | undefined;
}

/** All that an account can take out now, and how. */
interface Plan {
  account: Address;
  to: Address;
  creditWei: bigint;
  /** Pay of verified jobs that has to be claimed first. */
  claims: Claim[];
  /** Rewards of closed days; they go to the node's payout wallet. */
  slots: SlotReward[];
  rewards: Rewards | undefined;
}

export function registerWithdraw(program: Command): void {
  program
    .command('withdraw')
    .description(
      'take out all that is owed to this account: credit, pay that was not claimed yet, rewards of past days',
    )
    .option('--to <address>', "who receives it (default: a registered node's payout wallet, else the account itself)")
    .option('--storage <url>', 'where the results of jobs with unclaimed pay are (default: storageApi)')
    .option('--dry-run', 'only show what would be moved, and what it would cost')
    .option('--sign', 'without coin for gas: print a signed withdrawal of all credit for somebody else to bring')
    .option('--tip <amount>', 'with --sign: what whoever brings it gets of the credit (default: nothing)', amount)
    .option('--relay <file>', 'bring a withdrawal that another account signed')
    .addHelpText(
      'after',
      example(
        'emeth withdraw --dry-run',
        'emeth withdraw --config config/worker.json --to 0x90f79bf6eb2c4f870365e785982e1f101e93b906',
        'emeth withdraw --config config/worker.json --sign --tip 0.1emt > mine.json',
        'emeth withdraw --config config/master.json --relay mine.json',
      ),
    )
    .action(withdraw);
}

async function withdraw(options: WithdrawOptions): Promise<void> {
  const { openAccount } = await import('./account.js');
  await using account = await openAccount(options);
  if (options.relay !== undefined) return await relay(account, options.relay, options);
  const plan = await makePlan(account, options);
  if (options.sign) return await sign(account, plan, options);
  const [amountWei, rewardWei] = [creditOf(plan), rewardsOf(plan)];
  const facts = {
    account: plan.account,
    to: plan.to,
    amountWei,
    creditBefore: plan.creditWei,
    claims: plan.claims.map(({ ref, share }) => ({ jobId: ref.jobId, amountWei: share.amountWei })),
    slots: plan.slots,
    rewardWei,
  };
  if (options.dryRun || amountWei + rewardWei === 0n) {
    const gasWei = await estimate(account, plan);
    if (options.json) return printJson({ ...facts, creditAfter: plan.creditWei, gasWei, sent: false });
    printLines(...describe(plan));
    return talk(
      amountWei + rewardWei === 0n ? 'There is nothing to withdraw.' : `It would cost about ${gasWei} wei of gas.`,
    );
  }
  const hashes = await carryOut(account, plan);
  const creditAfter = await account.chain.credit(plan.account);
  if (options.json) return printJson({ ...facts, creditAfter, hash: hashes[0], hashes, sent: true });
  printLines(...describe(plan), `in       ${hashes.join(', ')}`, `credit   ${formatEmt(creditAfter)} now`);
}

async function makePlan(account: Account, options: WithdrawOptions): Promise<Plan> {
  const { openRewards } = await import('../chain/rewards.js');
  const { openRegistry } = await import('../chain/registry.js');
  const { findPendingPay } = await import('./pending-pay.js');
  const { parseAddress } = await import('./arguments.js');
  const { chain, emeth } = account;
  const node = await (await openRegistry(chain))?.find(emeth.address);
  const rewards = await openRewards(chain);
  return {
    account: emeth.address,
    to: options.to === undefined ? (node?.payout ?? emeth.address) : parseAddress(options.to),
    creditWei: await chain.credit(emeth.address),
    claims: await findPendingPay(account, options),
    slots: (await rewards?.unclaimed(emeth.address)) ?? [],
    rewards,
  };
}

/** At most two transactions: one to the escrow for pay and credit, one to the reward pool. */
async function carryOut(account: Account, plan: Plan): Promise<string[]> {
  const hashes: string[] = [];
  const { emeth, sender } = account;
  if (creditOf(plan) > 0n) hashes.push((await emeth.withdraw(plan.to, creditOf(plan), plan.claims)).hash);
  if (plan.slots.length > 0 && plan.rewards) hashes.push((await plan.rewards.claim(sender, slotsOf(plan))).hash);
  return hashes;
}

async function estimate(account: Account, plan: Plan): Promise<bigint> {
  const { emeth, sender } = account;
  let gasWei = 0n;
  if (creditOf(plan) > 0n) gasWei += await emeth.estimateWithdrawWei(plan.to, creditOf(plan), plan.claims);
  if (plan.slots.length > 0) gasWei += (await plan.rewards?.estimateClaimWei(sender, slotsOf(plan))) ?? 0n;
  return gasWei;
}

/** Claims need a transaction of their own before, so a signature covers the credit only. */
async function sign(account: Account, plan: Plan, { tip = 0n }: WithdrawOptions): Promise<void> {
  const { signWithdrawal } = await import('../chain/withdrawal.js');
  const { AppError } = await import('../lib/errors.js');
  if (plan.creditWei <= tip) {
    throw new AppError(
      { code: 'withdraw/too-little', creditWei: plan.creditWei, tipWei: tip },
      `The credit of ${formatEmt(plan.creditWei)} does not pay for a tip of ${formatEmt(tip)}; name a smaller --tip.`,
    );
  }
  const deadline = Math.floor((await account.chain.nowMs()) / 1000) + 24 * 3600;
  const content = { to: plan.to, amountWei: plan.creditWei - tip, tipWei: tip, deadline };
  printJson(await signWithdrawal(account.wallet, account.chain, content));
  talk('Signed for a day. Anybody may bring it with: emeth withdraw --relay FILE');
}

async function relay(account: Account, file: string, options: CommonOptions): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const { SignedWithdrawalFile } = await import('./withdrawal-file.js');
  const withdrawal = SignedWithdrawalFile.parse(JSON.parse(await readFile(file, 'utf8')));
  const { hash } = await account.emeth.relay(withdrawal);
  if (options.json) return printJson({ ...withdrawal, hash });
  printLines(
    `moved    ${formatEmt(withdrawal.amountWei)} of ${withdrawal.account} to ${withdrawal.to}`,
    `tip      ${formatEmt(withdrawal.tipWei)}, credit of ${account.emeth.address} now`,
    `in       ${hash}`,
  );
}

function describe(plan: Plan): string[] {
  const claimedWei = creditOf(plan) - plan.creditWei;
  return [
    `credit   ${formatEmt(plan.creditWei)} to ${plan.to}`,
    ...(claimedWei > 0n
      ? [`pay      ${formatEmt(claimedWei)} of ${plan.claims.length} jobs, claimed and moved along`]
      : []),
    ...(plan.slots.length > 0
      ? [`rewards  ${formatEmt(rewardsOf(plan))} of ${plan.slots.length} days, to the payout wallet`]
      : []),
  ];
}

function creditOf({ creditWei, claims }: Plan): bigint {
  return claims.reduce((sum, { share }) => sum + share.amountWei, creditWei);
}

function rewardsOf({ slots }: Plan): bigint {
  return slots.reduce((sum, { amountWei }) => sum + amountWei, 0n);
}

function slotsOf({ slots }: Plan): number[] {
  return slots.map(({ slot }) => slot);
}

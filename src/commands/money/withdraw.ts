/** `emeth withdraw`: takes out everything owed to an account, in as few transactions as possible. */
import { type Account, openAccount } from '../../app/account';
import type { Claim } from '../../chain/acts/emeth';
import { openRegistry } from '../../chain/acts/registry';
import { openRewards, type Rewards, type SlotReward } from '../../chain/acts/rewards';
import { cutSlots, cutWithdrawal, type Sweep, type WithdrawalPart } from '../../chain/acts/withdrawal-parts';
import { formatEmt, formatEth } from '../../domain/emt';
import type { Address } from '../../domain/ids';
import { AppError } from '../../lib/errors';
import { parseAddress } from '../../terminal/arguments';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';
import { findPendingPay, findUnclaimed } from './pending-pay';
import { relaySigned, signCredit } from './withdraw-signed';

interface WithdrawOptions extends SendOptions {
  to?: string | undefined;
  dryRun?: boolean | undefined;
  wait: boolean;
  sweep?: string[] | undefined;
  storage?: string | undefined;
  sign?: boolean | undefined;
  tip?: bigint | undefined;
  relay?: string | undefined;
}

/** Everything an account can take out now, and the transactions for it. */
interface Plan {
  account: Address;
  to: Address;
  creditWei: bigint;
  /** Pay of verified jobs that has to be claimed first. */
  claims: Claim[];
  /** This node's jobs with pay that nobody claimed in time. */
  sweeps: Sweep[];
  /** Rewards of closed days; they go to the node's payout wallet. */
  slots: SlotReward[];
  rewards: Rewards | undefined;
  /**
   * The transactions to the escrow, for pay and credit; and, by transaction to the reward pool, the days
   * claimed.
   */
  parts: WithdrawalPart[];
  slotParts: number[][];
}

export async function withdraw(options: WithdrawOptions): Promise<void> {
  requireOneTask(options);
  await using account = await openAccount(options);
  if (options.relay !== undefined) return await relaySigned(account, options.relay, options);
  const to = await receiverOf(account, options);
  if (options.sign) return await signCredit(account, to, options.tip ?? 0n);
  const hashes: string[] = [];
  await tryTwice(() => takeOut(account, to, hashes, options));
}

/**
 * Runs `act` again when the contract refuses it: an unfinished earlier run, or a master that pays its
 * workers, may have been faster, and the second look finds what is left.
 */
async function tryTwice(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!(error instanceof AppError) || !/^chain\/(reverted|out-of-gas)$/.test(error.code)) throw error;
    talk(`${error.message} Checking again what is owed.`);
    await act();
  }
}

async function takeOut(account: Account, to: Address, hashes: string[], options: WithdrawOptions): Promise<void> {
  // An unfinished earlier run may already do what this one would plan.
  await account.sender.catchUp(() => talk('Waiting until earlier transactions of this account are mined.'));
  const plan = await makePlan(account, to, options);
  const gasWei = await estimate(account, plan);
  const isAnything = amountWeiOf(plan) + rewardWeiOf(plan) > 0n;
  if (!options.json) printLines(...describe(plan));
  talk(isAnything ? `It costs about ${formatEth(gasWei)} of gas.` : 'There is nothing to withdraw.');
  if (isAnything && !options.dryRun) await carryOut(account, plan, hashes, options);
  const creditAfter = await account.chain.credit(plan.account);
  if (options.json)
    return printJson({ ...factsOf(plan), gasWei, creditAfter, hash: hashes[0], hashes, sent: hashes.length > 0 });
  if (hashes.length > 0) printLines(`in       ${hashes.join(', ')}`, `credit   ${formatEmt(creditAfter)} now`);
}

function requireOneTask({ sign, relay, tip, dryRun }: WithdrawOptions): void {
  const refuse = (problem: string) => new AppError({ code: 'usage/two-acts' }, problem);
  if (sign && relay !== undefined)
    throw refuse('--sign and --relay belong to two different accounts; name one of them.');
  if (tip !== undefined && !sign) throw refuse('--tip is what a signed withdrawal offers; name it with --sign.');
  if (sign && dryRun) throw refuse('--sign sends nothing anyway; leave --dry-run out.');
}

/** Returns who gets the tokens: the address given, else the node's payout wallet, else the account. */
async function receiverOf(account: Account, options: WithdrawOptions): Promise<Address> {
  if (options.to !== undefined) return parseAddress(options.to);
  const node = await (await openRegistry(account.chain))?.find(account.emeth.address);
  return node?.payout ?? account.emeth.address;
}

async function makePlan(account: Account, to: Address, options: WithdrawOptions): Promise<Plan> {
  const { chain, emeth } = account;
  const rewards = await openRewards(chain);
  const creditWei = await chain.credit(emeth.address);
  const claims = await findPendingPay(account, options);
  const sweeps = await findUnclaimed(account, options.sweep ?? []);
  const slots = (await rewards?.unclaimed(emeth.address)) ?? [];
  const parts = cutWithdrawal(creditWei, claims, sweeps);
  const slotParts = cutSlots(slots.map(({ slot }) => slot));
  return { account: emeth.address, to, creditWei, claims, sweeps, slots, rewards, parts, slotParts };
}

/**
 * Sends one transaction after the other: mostly one to the escrow and one to the reward pool. Each takes out
 * what it collects, so that an interrupted run leaves the later parts as they were.
 */
async function carryOut(
  { emeth, sender }: Account,
  plan: Plan,
  hashes: string[],
  { wait }: WithdrawOptions,
): Promise<void> {
  for (const { amountWei, collected } of plan.parts)
    hashes.push((await emeth.withdraw(plan.to, amountWei, collected)).hash);
  for (const slots of plan.slotParts) if (plan.rewards) hashes.push((await plan.rewards.claim(sender, slots)).hash);
  if (!wait) return;
  talk(`Mined in ${hashes.join(', ')}; waiting until it is final. Nothing is lost if you stop waiting.`);
  const settled = await Promise.all(hashes.map((hash) => sender.settle(hash)));
  hashes.splice(0, hashes.length, ...settled.map(({ hash }) => hash));
}

async function estimate({ emeth, sender }: Account, plan: Plan): Promise<bigint> {
  let gasWei = 0n;
  for (const { amountWei, collected } of plan.parts)
    gasWei += await emeth.estimateWithdrawWei(plan.to, amountWei, collected);
  for (const slots of plan.slotParts) gasWei += (await plan.rewards?.estimateClaimWei(sender, slots)) ?? 0n;
  return gasWei;
}

function factsOf(plan: Plan): object {
  return {
    account: plan.account,
    to: plan.to,
    amountWei: amountWeiOf(plan),
    creditBefore: plan.creditWei,
    claims: plan.claims.map(({ ref, share }) => ({ jobId: ref.jobId, amountWei: share.amountWei })),
    sweeps: plan.sweeps,
    slots: plan.slots,
    rewardWei: rewardWeiOf(plan),
  };
}

function describe(plan: Plan): string[] {
  const [claimedWei, sweptWei] = [claimedWeiOf(plan), sweptWeiOf(plan)];
  return [
    `credit   ${formatEmt(plan.creditWei)} to ${plan.to}`,
    ...(claimedWei > 0n
      ? [`pay      ${formatEmt(claimedWei)} of ${plan.claims.length} jobs, claimed and moved with it`]
      : []),
    ...(sweptWei > 0n
      ? [`swept    ${formatEmt(sweptWei)} that workers of ${plan.sweeps.length} jobs left unclaimed`]
      : []),
    ...(plan.slots.length > 0
      ? [`rewards  ${formatEmt(rewardWeiOf(plan))} of ${plan.slots.length} days, to the payout wallet`]
      : []),
  ];
}

/**
 * Returns what the escrow pays out: the credit, and the claims and sweeps that become credit first. Rewards
 * come from the pool.
 */
function amountWeiOf(plan: Plan): bigint {
  return plan.creditWei + claimedWeiOf(plan) + sweptWeiOf(plan);
}

function claimedWeiOf({ claims }: Plan): bigint {
  return claims.reduce((sum, { share }) => sum + share.amountWei, 0n);
}

function sweptWeiOf({ sweeps }: Plan): bigint {
  return sweeps.reduce((sum, { amountWei }) => sum + amountWei, 0n);
}

function rewardWeiOf({ slots }: Plan): bigint {
  return slots.reduce((sum, { amountWei }) => sum + amountWei, 0n);
}

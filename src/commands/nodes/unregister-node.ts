/** `emeth unregister-node`: takes a node out of service, and its stake out once it is free. */
import { openAccount } from '../../app/account';
import { nodeOrOwn, requireNode, requireRegistry } from '../../app/registry';
import { type Operator, openOperator } from '../../chain/acts/operator';
import type { RegisteredNode } from '../../chain/acts/registry';
import { formatEmt } from '../../domain/emt';
import type { SendOptions } from '../../terminal/options';
import { printJson, printLines } from '../../terminal/print';

interface UnregisterOptions extends SendOptions {
  nodeAddr?: string | undefined;
  undo?: boolean | undefined;
}

/** What the command did, or that it has to wait. */
interface Outcome {
  did: 'deactivated' | 'waits' | 'stake-withdrawn' | 'reactivated';
  hash?: string | undefined;
}

export async function unregisterNode(options: UnregisterOptions): Promise<void> {
  await using account = await openAccount(options);
  const { chain } = account;
  const registry = await requireRegistry(chain);
  const node = await requireNode(registry, nodeOrOwn(options.nodeAddr, account));
  const operator = openOperator(chain, registry, account.sender);
  const outcome = options.undo ? await undo(operator, node) : await leave(operator, node, await chain.nowMs());
  const after = await registry.find(node.node);
  if (options.json) return printJson({ ...outcome, node: node.node, stakeWei: node.stakeWei, ...after });
  printLines(describeOutcome(outcome, node, after));
}

async function leave(
  operator: Operator,
  { node, status, unbondsAtMs = 0 }: RegisteredNode,
  nowMs: number,
): Promise<Outcome> {
  if (status === 'ACTIVE') return { did: 'deactivated', ...(await operator.deactivate(node)) };
  if (nowMs < unbondsAtMs) return { did: 'waits' };
  return { did: 'stake-withdrawn', ...(await operator.withdrawStake(node)) };
}

async function undo(operator: Operator, { node }: RegisteredNode): Promise<Outcome> {
  return { did: 'reactivated', ...(await operator.reactivate(node)) };
}

function describeOutcome(
  { did }: Outcome,
  { node, stakeWei }: RegisteredNode,
  after: RegisteredNode | undefined,
): string {
  if (did === 'reactivated') return `${node} takes jobs again.`;
  if (did === 'stake-withdrawn') return `${node} is no longer registered; ${formatEmt(stakeWei)} went to its operator.`;
  const day = new Date(after?.unbondsAtMs ?? 0).toISOString();
  return `${node} takes no more jobs. Run this again from ${day} to take out ${formatEmt(stakeWei)}.`;
}

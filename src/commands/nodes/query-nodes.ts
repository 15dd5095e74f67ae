/** `emeth query-all-nodes` and `emeth query-node`: reads the node registry. */
import Table from 'cli-table3';
import { openReader } from '../../app/account';
import { describeNode, requireNode, requireRegistry } from '../../app/registry';
import type { RegisteredNode } from '../../chain/acts/registry';
import { formatEmt } from '../../domain/emt';
import { parseAddress } from '../../terminal/arguments';
import type { CommonOptions } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

interface PageOptions extends CommonOptions {
  page: number;
  pageSize: number;
}

interface NodeOptions extends CommonOptions {
  nodeAddr: string;
}

export async function listNodes(options: PageOptions): Promise<void> {
  await using reader = await openReader(options);
  const registry = await requireRegistry(reader.chain);
  const { page, pageSize } = options;
  const { nodes, total } = await registry.list((page - 1) * pageSize, pageSize);
  const pages = Math.max(1, Math.ceil(total / pageSize));
  if (options.json) return printJson({ page, pages, nodes });
  if (nodes.length === 0) return talk(total === 0 ? 'No node is registered.' : `Page ${page} of ${pages} is empty.`);
  const head = ['node', 'status', 'organisation', 'units', 'stake', 'payout'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const node of nodes) table.push(row(node));
  printLines(table.toString());
  if (pages > 1) talk(`Page ${page} of ${pages}.`);
}

export async function showEntry(options: NodeOptions): Promise<void> {
  const address = parseAddress(options.nodeAddr);
  await using reader = await openReader(options);
  const node = await requireNode(await requireRegistry(reader.chain), address);
  if (options.json) return printJson(node);
  printLines(...describeNode(node));
}

function row(node: RegisteredNode): string[] {
  const { status, organisation, computeUnits, stakeWei, payout } = node;
  return [node.node, status, organisation, String(computeUnits), formatEmt(stakeWei), payout];
}

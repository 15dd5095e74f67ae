import type { Command } from 'commander';
import { describeNode, parseNamed, requireNode, requireRegistry } from '../../app/registry';
import type { RegisteredNode } from '../../chain/acts/registry';
import { formatEmt } from '../../domain/emt';
import { type CommonOptions, example, wholeNumber } from '../../terminal/options';
import { printJson, printLines, talk } from '../../terminal/print';

interface PageOptions extends CommonOptions {
  page: number;
  pageSize: number;
}

interface NodeOptions extends CommonOptions {
  nodeAddr: string;
}

export function registerQueryAllNodes(program: Command): void {
  program
    .command('query-all-nodes')
    .description('list the registered nodes')
    .option('--page <n>', 'which page', wholeNumber(1), 1)
    .option('--page-size <n>', 'entries of the registry a page looks at', wholeNumber(1), 100)
    .addHelpText('after', example('emeth query-all-nodes', 'emeth query-all-nodes --page 2 --json'))
    .action(queryAllNodes);
}

export function registerQueryNode(program: Command): void {
  program
    .command('query-node')
    .description("show a node's entry in the registry")
    .requiredOption('--node-addr <address>', 'the node, with or without 0x')
    .addHelpText('after', example('emeth query-node --node-addr 0x90f79bf6eb2c4f870365e785982e1f101e93b906'))
    .action(queryNode);
}

async function queryAllNodes(options: PageOptions): Promise<void> {
  const { openReader } = await import('../../app/account.js');
  await using reader = await openReader(options);
  const registry = await requireRegistry(reader.chain);
  const { page, pageSize } = options;
  const { nodes, total } = await registry.list((page - 1) * pageSize, pageSize);
  const pages = Math.max(1, Math.ceil(total / pageSize));
  if (options.json) return printJson({ page, pages, nodes });
  if (nodes.length === 0)
    return talk(total === 0 ? 'No node is registered.' : `There is nothing on page ${page} of ${pages}.`);
  const { default: Table } = await import('cli-table3');
  const head = ['node', 'status', 'organisation', 'units', 'stake', 'payout'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const node of nodes) table.push(row(node));
  printLines(table.toString());
  if (pages > 1) talk(`Page ${page} of ${pages}.`);
}

async function queryNode(options: NodeOptions): Promise<void> {
  const { openReader } = await import('../../app/account.js');
  const address = await parseNamed(options.nodeAddr);
  await using reader = await openReader(options);
  const node = await requireNode(await requireRegistry(reader.chain), address);
  if (options.json) return printJson(node);
  printLines(...describeNode(node));
}

function row(node: RegisteredNode): string[] {
  const { status, organisation, computeUnits, stakeWei, payout } = node;
  return [node.node, status, organisation, String(computeUnits), formatEmt(stakeWei), payout];
}

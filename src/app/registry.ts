/** The node registry and its entries, as commands need them. */
import { openRegistry, type RegisteredNode, type Registry } from '../chain/acts/registry';
import type { Chain } from '../chain/rpc/client';
import { formatEmt } from '../domain/emt';
import type { Address } from '../domain/ids';
import { AppError } from '../lib/errors';
import { parseAddress } from '../terminal/arguments';
import type { Account } from './account';

export type RegistryError =
  | { code: 'registry/none'; contract: Address }
  | { code: 'registry/unknown-node'; node: Address };

/** Opens the registry of the configured escrow. Throws `registry/none` when the escrow has none. */
export async function requireRegistry(chain: Chain): Promise<Registry> {
  const registry = await openRegistry(chain);
  if (registry) return registry;
  throw new AppError<RegistryError>(
    { code: 'registry/none', contract: chain.core },
    `The escrow ${chain.core} has no node registry; any account may take jobs there.`,
  );
}

/** Returns the node's entry. Throws `registry/unknown-node`. */
export async function requireNode(registry: Registry, node: Address): Promise<RegisteredNode> {
  const found = await registry.find(node);
  if (found) return found;
  throw new AppError<RegistryError>(
    { code: 'registry/unknown-node', node },
    `${node} is not registered; \`emeth register-node\` does that.`,
  );
}

/** Returns the node a command is about: the one named, else the account of the configuration. */
export function nodeOrOwn(text: string | undefined, account: Pick<Account, 'wallet'>): Address {
  return text === undefined ? account.wallet.address : parseAddress(text);
}

/** Returns a node's entry as lines for people. */
export function describeNode(node: RegisteredNode): string[] {
  const when = (ms: number) => new Date(ms).toISOString();
  return [
    `node          ${node.node}`,
    `status        ${node.status}${node.unbondsAtMs ? `, stake free from ${when(node.unbondsAtMs)}` : ''}`,
    `organisation  ${node.organisation}`,
    `operator      ${node.operator}`,
    `payout        ${node.payout}`,
    ...(node.nextPayout
      ? [`next payout   ${node.nextPayout.payout}, to be confirmed by it from ${when(node.nextPayout.opensAtMs)}`]
      : []),
    `stake         ${formatEmt(node.stakeWei)}`,
    `capability    ${node.computeUnits} compute units${node.capabilityUri ? `, ${node.capabilityUri} (${node.capabilityHash})` : ''}`,
  ];
}

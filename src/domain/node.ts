/** States of a node in the registry. */
/** In the order of the contract's enum. */
export const nodeStatuses = ['NONE', 'ACTIVE', 'UNBONDING'] as const;
export type NodeStatus = (typeof nodeStatuses)[number];

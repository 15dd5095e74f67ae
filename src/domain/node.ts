/** States of a node in the registry. */
/** What the registry can say of a node; the order is that of the contract's enum. */
/** In the order of the contract's enum. */
export const nodeStatuses = ['NONE', 'ACTIVE', 'UNBONDING'] as const;
export type NodeStatus = (typeof nodeStatuses)[number];

import { decodeBytes32String } from 'ethers';
import { formatEmt } from '../../domain/emt';
import { chainStates } from '../../domain/job';
import { nodeStatuses } from '../../domain/node';

type Say = (...args: string[]) => string;

const emt = (wei: string) => formatEmt(BigInt(wei));
const time = (seconds: string) => new Date(Number(seconds) * 1000).toISOString();
const state = (number: string) => chainStates[Number(number)] ?? number;
const status = (number: string) => nodeStatuses[Number(number)] ?? number;

/** The refusals people meet, by the contracts' names: what is wrong, and what to do where that is not the same. */
const sentences: Record<string, Say> = {
  EmethCore_WrongState: (job, is, needed) => `job ${job} is ${state(is)}, and that needs ${state(needed)}`,
  EmethCore_NotNode: (job, caller) =>
    `job ${job} is not held by ${caller}; use the configuration of the node that took it`,
  EmethCore_NotRequester: (job, caller) =>
    `job ${job} was not requested by ${caller}; use its requester's configuration`,
  EmethCore_NodeNotActive: (node) =>
    `node ${node} is not registered and active; register it with \`emeth register-node\``,
  EmethCore_FeeTooLow: (fee, least) => `a fee of ${emt(fee)} is below the least of ${emt(least)}; offer more`,
  EmethCore_NoFuel: () => 'the job may use no fuel; allow some',
  EmethCore_DeadlineTooNear: (deadline, earliest) =>
    `the deadline ${time(deadline)} leaves too little time; choose one after ${time(earliest)}`,
  EmethCore_DeadlineTooFar: (deadline, latest) =>
    `the deadline ${time(deadline)} is too far away; choose one up to ${time(latest)}`,
  EmethCore_DeadlinePassed: (job, deadline) => `the deadline of job ${job} was ${time(deadline)}`,
  EmethCore_TooEarly: (job, opensAt) => `for job ${job} that has to wait until ${time(opensAt)}`,
  EmethCore_QuorumNotReached: (has, quorum) =>
    `${has} of ${quorum} verifiers have signed; bring the others' attestations`,
  EmethCore_NotVerifier: (account) => `${account} is no verifier; the administrator appoints them`,
  EmethCore_AlreadyClaimed: (job, index) => `the pay of place ${index} in job ${job} was claimed before`,
  EmethCore_NotEnoughCredit: (account, credit, amount) => `${account} has ${emt(credit)} of credit, not ${emt(amount)}`,
  EmethCore_Paused: () => "requests and takings are paused by the contract's administrator; try again later",
  EmethCore_TermsOutOfBounds: (field, value, least, most) =>
    `${decodeBytes32String(field)} is ${value}, and has to be from ${least} to ${most}`,
  EmethCore_SignatureExpired: (deadline) => `the signature was good until ${time(deadline)}; have a new one made`,
  EmethCore_WrongSignature: (_signer, account) =>
    `${account} has not signed this, or what it signed was brought before; have a new one made`,
  NodeRegistry_NotOperator: (node, caller) => `${caller} does not own the organisation of node ${node}`,
  NodeRegistry_NotOwner: (_organisation, caller) =>
    `${caller} does not own that organisation; take another name for yours`,
  NodeRegistry_WrongStatus: (node, is, needed) => `node ${node} is ${status(is)}, and that needs ${status(needed)}`,
  NodeRegistry_StakeTooLow: (stake, least) => `a stake of ${emt(stake)} is below the least of ${emt(least)}`,
  NodeRegistry_TooEarly: (node, opensAt) => `node ${node} has to wait until ${time(opensAt)}`,
  ERC20InsufficientBalance: (owner, balance, needed) =>
    `${owner} has ${emt(balance)}, and that needs ${emt(needed)}; send it tokens`,
};

/** A contract's error as a sentence's end, with its name; any that is not in the list by name and arguments alone. */
export function refusalInWords(reason: string, args: readonly string[]): string {
  const say = sentences[reason];
  if (say) return `${say(...args)} (${reason})`;
  return args.length > 0 ? `${reason}(${args.join(', ')})` : reason;
}

/** The errors there is a sentence for. */
export const knownRefusals: readonly string[] = Object.keys(sentences);

/** Sentences for the contracts' errors that people meet. */
import { decodeBytes32String } from 'ethers';
import { formatEmt } from '../../domain/emt';
import { chainStates } from '../../domain/job';
import { nodeStatuses } from '../../domain/node';

type Sentence = (...args: string[]) => string;

const emt = (wei: string) => formatEmt(BigInt(wei));
const time = (seconds: string) => new Date(Number(seconds) * 1000).toISOString();
const state = (number: string) => chainStates[Number(number)] ?? number;
const status = (number: string) => nodeStatuses[Number(number)] ?? number;

/** By the contracts' names: what is wrong and, where that does not follow from it, what to do. */
const sentences: Record<string, Sentence> = {
  EmethCore_WrongState: (job, is, needed) => `job ${job} is ${state(is)}, but this needs ${state(needed)}`,
  EmethCore_NotNode: (job, caller) =>
    `node ${caller} does not hold job ${job}; use the configuration of the node that took it`,
  EmethCore_NotRequester: (job, caller) =>
    `job ${job} was not requested by ${caller}; use its requester's configuration`,
  EmethCore_NodeNotActive: (node) =>
    `node ${node} is not registered and active; register it with \`emeth register-node\``,
  EmethCore_FeeTooLow: (fee, least) => `a fee of ${emt(fee)} is below the minimum of ${emt(least)}; offer more`,
  EmethCore_NoFuel: () => 'the fuel limit of the job is zero; set a higher one',
  EmethCore_DeadlineTooNear: (deadline, earliest) =>
    `the deadline ${time(deadline)} leaves too little time; choose one after ${time(earliest)}`,
  EmethCore_DeadlineTooFar: (deadline, latest) =>
    `the deadline ${time(deadline)} is too far away; choose one up to ${time(latest)}`,
  EmethCore_DeadlinePassed: (job, deadline) => `the deadline of job ${job} was ${time(deadline)}`,
  EmethCore_TooEarly: (job, opensAt) => `for job ${job} this is possible only from ${time(opensAt)} on`,
  EmethCore_QuorumNotReached: (has, quorum) =>
    `${has} of ${quorum} verifiers have signed; add the attestations of others`,
  EmethCore_NotVerifier: (account) => `${account} is not a verifier; the administrator appoints them`,
  EmethCore_AlreadyClaimed: (job, index) => `the share with index ${index} of job ${job} is already claimed`,
  EmethCore_NotEnoughCredit: (account, credit, amount) => `${account} has ${emt(credit)} of credit, not ${emt(amount)}`,
  EmethCore_Paused: () => "the contract's administrator has paused requesting and taking jobs; try again later",
  EmethCore_TermsOutOfBounds: (field, value, least, most) =>
    `${decodeBytes32String(field)} is ${value}, but must be from ${least} to ${most}`,
  EmethCore_SignatureExpired: (deadline) => `the signature expired at ${time(deadline)}; ask for a new one`,
  EmethCore_WrongSignature: (_signer, account) =>
    `${account} has not signed this, or its signature is already used; ask for a new one`,
  NodeRegistry_NotOperator: (node, caller) => `${caller} does not own the organisation of node ${node}`,
  NodeRegistry_NotOwner: (_organisation, caller) =>
    `${caller} does not own that organisation; choose another name for yours`,
  NodeRegistry_WrongStatus: (node, is, needed) => `node ${node} is ${status(is)}, but this needs ${status(needed)}`,
  NodeRegistry_StakeTooLow: (stake, least) => `a stake of ${emt(stake)} is below the minimum of ${emt(least)}`,
  NodeRegistry_TooEarly: (node, opensAt) => `node ${node} has to wait until ${time(opensAt)}`,
  ERC20InsufficientBalance: (owner, balance, needed) =>
    `${owner} has ${emt(balance)}, but this needs ${emt(needed)}; send it tokens`,
};

/**
 * Describes a contract's error as the end of a sentence, with its name; an unlisted one by name and arguments
 * alone.
 */
export function refusalInWords(reason: string, args: readonly string[]): string {
  const sentence = sentences[reason];
  if (sentence) return `${sentence(...args)} (${reason})`;
  return args.length > 0 ? `${reason}(${args.join(', ')})` : reason;
}

/** Names of the errors that have a sentence. */
export const knownRefusals: readonly string[] = Object.keys(sentences);

/** Verdicts of verifiers, signed so that another verifier can submit several at once. */
import { recoverAddress, solidityPackedKeccak256, TypedDataEncoder } from 'ethers';
import { Address, type JobId } from '../../domain/ids';
import { byAddress } from '../../domain/order';
import type { Wallet } from '../sending/wallet';

/** A verifier's verdict on a result. */
export interface Attestation {
  jobId: JobId;
  resultHash: string;
  payoutRoot: string;
  verdict: { accepted: true } | { accepted: false; reasonHash: string };
}

const types = {
  Attestation: [
    { name: 'jobId', type: 'bytes16' },
    { name: 'commitment', type: 'bytes20' },
    { name: 'accepted', type: 'bool' },
    { name: 'reasonHash', type: 'bytes16' },
  ],
};
const NO_REASON = `0x${'0'.repeat(32)}`;

/** Signs a verdict for another verifier to submit, when the contract requires several. */
export function signAttestation(wallet: Wallet, core: Address, attestation: Attestation): Promise<string> {
  return wallet.signFor({ name: 'EmethCore', address: core }, types, messageOf(attestation));
}

/**
 * Returns who signed this verdict on a result, of which only the commitment need be known; undefined for what
 * is no signature.
 */
export function attestationSigner(
  signature: string,
  { chainId, core }: { chainId: number; core: Address },
  { jobId, commitment, verdict }: { jobId: JobId; commitment: string; verdict: Attestation['verdict'] },
): Address | undefined {
  try {
    return Address.parse(recoverAddress(digestOf(chainId, core, content(jobId, commitment, verdict)), signature));
  } catch {
    return undefined;
  }
}

/** Sorts signatures by signer, the order by which the contract sees that no signer counts twice. */
export function sortAttestations(
  signatures: readonly string[],
  chainId: number,
  core: Address,
  attestation: Attestation,
): string[] {
  const digest = digestOf(chainId, core, messageOf(attestation));
  return signatures
    .map((signature) => ({ signature, signer: Address.parse(recoverAddress(digest, signature)) }))
    .sort((a, b) => byAddress(a.signer, b.signer))
    .map(({ signature }) => signature);
}

/** Returns what the contract stores of a result: the first 20 bytes of keccak256 over both hashes. */
export function commitmentOf(result: Pick<Attestation, 'resultHash' | 'payoutRoot'>): string {
  return solidityPackedKeccak256(['bytes32', 'bytes32'], [result.resultHash, result.payoutRoot]).slice(0, 42);
}

function digestOf(chainId: number, core: Address, message: object): string {
  const domain = { name: 'EmethCore', version: '1', chainId, verifyingContract: core };
  return TypedDataEncoder.hash(domain, types, message);
}

function messageOf({ jobId, resultHash, payoutRoot, verdict }: Attestation): object {
  return content(jobId, commitmentOf({ resultHash, payoutRoot }), verdict);
}

function content(jobId: JobId, commitment: string, verdict: Attestation['verdict']): object {
  return { jobId, commitment, ...verdict, reasonHash: verdict.accepted ? NO_REASON : verdict.reasonHash };
}

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

/** Sorts signatures by signer, the order by which the contract sees that no signer counts twice. */
export function sortAttestations(
  signatures: readonly string[],
  chainId: number,
  core: Address,
  attestation: Attestation,
): string[] {
  const domain = { name: 'EmethCore', version: '1', chainId, verifyingContract: core };
  const digest = TypedDataEncoder.hash(domain, types, messageOf(attestation));
  return signatures
    .map((signature) => ({ signature, signer: Address.parse(recoverAddress(digest, signature)) }))
    .sort((a, b) => byAddress(a.signer, b.signer))
    .map(({ signature }) => signature);
}

/** Returns what the contract stores of a result: the first 20 bytes of keccak256 over both hashes. */
export function commitmentOf(result: Pick<Attestation, 'resultHash' | 'payoutRoot'>): string {
  return solidityPackedKeccak256(['bytes32', 'bytes32'], [result.resultHash, result.payoutRoot]).slice(0, 42);
}

function messageOf({ jobId, resultHash, payoutRoot, verdict }: Attestation): object {
  return {
    jobId,
    commitment: commitmentOf({ resultHash, payoutRoot }),
    ...verdict,
    reasonHash: verdict.accepted ? NO_REASON : verdict.reasonHash,
  };
}

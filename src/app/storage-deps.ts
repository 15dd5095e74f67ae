/** What a storage needs of chain, account and store. */
import type { BlobStore } from '../blobs/blob-store';
import { attestationSigner } from '../chain/acts/attestations';
import type { Chain } from '../chain/rpc/client';
import { recoverTyped } from '../chain/sending/wallet';
import { awaitsVerdict } from '../domain/job';
import type { ClientAddress } from '../http/client-address';
import type { Logger } from '../lib/logger';
import { evidenceRequestTypes, STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';
import type { StorageDeps } from '../storage/deps';
import type { StatementDeps } from '../storage/statements';
import type { Store } from '../store/open';

export interface StorageParts {
  blobs: BlobStore;
  chain: Pick<Chain, 'chainId' | 'core' | 'job' | 'isVerifier'>;
  space: StorageDeps['space'];
  store: Pick<Store, 'attestations' | 'evidenceRequests'>;
  logger: Logger;
  clientAddress: ClientAddress;
}

export function storageDeps({ blobs, chain, space, store, logger, clientAddress }: StorageParts): StorageDeps {
  return {
    blobs,
    clientAddress,
    ...statementDeps({ chain, store, logger }),
    recoverUpload: (upload, signature) => recoverTyped(chain.chainId, STORAGE_DOMAIN, uploadTypes, upload, signature),
    space,
  };
}

/** What a storage needs to take the statements of a contract's verifiers. */
export function statementDeps({
  chain,
  store,
  logger,
}: Pick<StorageParts, 'store' | 'logger'> & {
  chain: Pick<Chain, 'chainId' | 'core' | 'job' | 'isVerifier'>;
}): StatementDeps {
  const { attestations, evidenceRequests } = store;
  return {
    attestations,
    evidenceRequests,
    async awaitedCommitment(jobId) {
      const { state, commitment } = await chain.job(jobId);
      return awaitsVerdict(state) ? commitment : undefined;
    },
    isVerifier: (account) => chain.isVerifier(account),
    attestationSigner: (jobId, { commitment, verdict, signature }) =>
      attestationSigner(signature, chain, { jobId, commitment, verdict }),
    requestSigner: (jobId, { reference, atMs, signature }) =>
      recoverTyped(chain.chainId, STORAGE_DOMAIN, evidenceRequestTypes, { jobId, reference, atMs }, signature),
    nowMs: () => Date.now(),
    onRequest: (jobId, { verifier, reference }) =>
      logger.warn('A verifier cannot get what it needs; it rejects the result if this lasts', {
        jobId,
        verifier,
        reference,
      }),
  };
}

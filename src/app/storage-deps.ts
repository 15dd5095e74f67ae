/** What a storage needs of chain, account and store. */
import type { StoredBlobs } from '../blobs/stored-blobs';
import { attestationSigner } from '../chain/acts/attestations';
import type { Chain } from '../chain/rpc/client';
import { recoverTyped } from '../chain/sending/wallet';
import type { Address } from '../domain/ids';
import { awaitsVerdict } from '../domain/job';
import type { ClientAddress } from '../http/client-address';
import type { Logger } from '../lib/logger';
import { evidenceRequestTypes, readTypes, STORAGE_DOMAIN, uploadTypes } from '../protocol/storage';
import type { StorageDeps } from '../storage/deps';
import type { StatementDeps } from '../storage/statements';
import type { Store } from '../store/open';
import { JobRecords, type RecordChain } from './job-records';

export interface StorageParts {
  blobs: StoredBlobs;
  chain: Pick<Chain, 'chainId' | 'core' | 'isVerifier' | 'isActive'> & RecordChain;
  space: StorageDeps['space'];
  /** The account that has all that is stored here: a master's own. */
  wallet?: { address: Address } | undefined;
  store: Pick<Store, 'attestations' | 'evidenceRequests' | 'blobHolders' | 'jobs'>;
  logger: Logger;
  clientAddress: ClientAddress;
  /** Accounts that may read everything. */
  readers?: readonly Address[] | undefined;
}

export function storageDeps(parts: StorageParts): StorageDeps {
  const { blobs, chain, space, wallet, store, logger, clientAddress } = parts;
  const records = new JobRecords(chain, (jobId) => store.jobs.find(jobId));
  return {
    blobs,
    clientAddress,
    ...statementDeps({ chain, store, logger }),
    recoverUpload: (upload, signature) => recoverTyped(chain.chainId, STORAGE_DOMAIN, uploadTypes, upload, signature),
    space,
    recoverRead: (read, signature) => recoverTyped(chain.chainId, STORAGE_DOMAIN, readTypes, read, signature),
    jobRecord: (jobId) => records.find(jobId),
    isTrusted: (account) => parts.readers?.includes(account) ?? false,
    isActiveNode: (account) => chain.isActive(account),
    isHolder: async (sha256, account) => account === wallet?.address || store.blobHolders.has(sha256, account),
    addHolder: (sha256, account) => store.blobHolders.add(sha256, account),
  };
}

/** What a storage needs to take the statements of a contract's verifiers. */
export function statementDeps({
  chain,
  store,
  logger,
}: Pick<StorageParts, 'logger'> & {
  store: Pick<Store, 'attestations' | 'evidenceRequests'>;
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

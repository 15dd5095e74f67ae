/** How an account becomes a blob's holder: by sending all of its bytes, or by proving that it has them. */
import type { Address, Sha256 } from '../domain/ids';
import { BoundedMap } from '../lib/bounded-map';
import { AppError } from '../lib/errors';
import { sha256Behind } from '../lib/hash';
import type { StorageDeps } from './deps';
import type { StorageError } from './errors';
import { Permits } from './permits';
import type { Upload } from './space';

type HolderDeps = Pick<StorageDeps, 'blobs' | 'isHolder' | 'addHolder' | 'nowMs'> & {
  space: Pick<StorageDeps['space'], 'requireAccount'>;
};

/** An account that has sent the first bytes of an upload, all of them. */
interface Sender {
  owner: Address;
  bytes: number;
}

/** Uploads whose sender is remembered; of more, some senders have to prove that they have what they sent. */
const MAX_SENDERS = 1000;

/**
 * Knows who sends unfinished uploads. A blob's name is public, so neither naming it nor sending the last of
 * its bytes shows that an account has it.
 */
export class Holders {
  private readonly senders = new BoundedMap<Sha256, Sender>(MAX_SENDERS);
  /** Accounts whose proof of a blob is being checked. Each costs reading all of it. */
  private readonly checking = new Set<Address>();
  /** Wrong proofs of the last minute. */
  private readonly refused: Permits;

  constructor(private readonly deps: HolderDeps) {
    this.refused = new Permits(() => deps.nowMs());
  }

  /** Notes which of an upload's bytes an account has just sent. */
  note({ sha256, owner }: Upload, from: number, to: number): void {
    const before = this.senders.get(sha256);
    const hasSentAll = from === 0 || (before?.owner === owner && before.bytes === from);
    if (hasSentAll) this.senders.set(sha256, { owner, bytes: to });
    else this.senders.delete(sha256);
  }

  /**
   * Makes the sender of a whole upload its holder. Throws `storage/proof-needed` for the sender of a part.
   */
  async finish({ sha256, owner, bytes }: Upload): Promise<void> {
    const sender = this.senders.get(sha256);
    this.senders.delete(sha256);
    if (sender?.owner !== owner || sender.bytes !== bytes) throw proofNeeded(sha256);
    await this.deps.addHolder(sha256, owner);
  }

  /** Makes the account a holder of a stored blob by its proof, unless it is one. Throws `storage/…`. */
  async require({ sha256, owner }: Upload, proof: string | undefined): Promise<void> {
    if (await this.deps.isHolder(sha256, owner)) return;
    await this.deps.space.requireAccount(owner);
    if (proof === undefined) throw proofNeeded(sha256);
    const key = `${owner} ${sha256}`;
    if (this.refused.find(key) || !(await this.isRight(sha256, owner, proof))) {
      this.refused.add(key, owner);
      throw wrongProof(owner);
    }
    await this.deps.addHolder(sha256, owner);
  }

  private async isRight(sha256: Sha256, owner: Address, proof: string): Promise<boolean> {
    if (this.checking.has(owner)) throw busy(sha256);
    this.checking.add(owner);
    try {
      return (await sha256Behind(owner, await this.deps.blobs.openRead(sha256))) === proof;
    } finally {
      this.checking.delete(owner);
    }
  }
}

function proofNeeded(sha256: Sha256): AppError<StorageError> {
  return new AppError(
    { code: 'storage/proof-needed', status: 428, sha256 },
    'These bytes are here, and not all of them by this account: send Upload-Proof, the sha256 of its address (20 bytes) and the blob behind it.',
  );
}

function wrongProof(owner: Address): AppError<StorageError> {
  return new AppError(
    { code: 'storage/wrong-proof', status: 403, owner },
    `The proof does not show that ${owner} has this blob; a wrong one is not looked at again for a minute.`,
  );
}

function busy(sha256: Sha256): AppError<StorageError> {
  return new AppError(
    { code: 'storage/busy', status: 423, sha256 },
    'Another proof of this account is being checked; send this one later.',
  );
}

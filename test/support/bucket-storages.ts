/** Two real storages over one bucket of a real S3 service, on a chain of their own. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blobReaderOf } from '../../src/app/blob-reader';
import type { BucketOptions } from '../../src/blobs/bucket';
import { openReadPass, type ReadPass } from '../../src/blobs/read-pass';
import { RemoteBlobs, type SignUpload } from '../../src/blobs/remote-blobs';
import { openWallet, type Wallet } from '../../src/chain/sending/wallet';
import { makeParties } from '../../src/demo/parties';
import { freePort } from '../../src/lib/free-port';
import { NO_JOB, STORAGE_DOMAIN, uploadTypes } from '../../src/protocol/storage';
import { startAnvil } from '../../src/runner/anvil';
import { type RoleProcess, startRole } from '../../src/runner/cli-process';
import { builtCli } from './cli';
import { OWNER, startSwift } from './swift';
import { until } from './until';

/** A storage as a process of the built command line. */
export interface BucketStorage {
  readonly url: string;
  readonly remote: RemoteBlobs;
  readonly role: RoleProcess;
  /** Starts it again after a kill, and waits until it answers. */
  restart(): Promise<void>;
}

export interface BucketStorages extends AsyncDisposable {
  /** For files of the caller. */
  readonly dir: string;
  readonly bucket: BucketOptions;
  readonly storages: readonly [BucketStorage, BucketStorage];
  /** An account with EMT. */
  readonly wallet: Wallet;
  readonly sign: SignUpload;
  readonly pass: ReadPass;
}

export async function startBucketStorages(): Promise<BucketStorages> {
  builtCli();
  const dir = await mkdtemp(join(tmpdir(), 'emeth-bucket-'));
  const stack: AsyncDisposable[] = [{ [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }];
  const close = async () => {
    for (const opened of stack.reverse()) await opened[Symbol.asyncDispose]();
  };
  try {
    const [anvil, service] = [await startAnvil(), await startSwift()];
    stack.push(anvil, service);
    const bucket = await service.createBucket();
    const parties = await makeParties({ dir, endpoint: anvil.url, masterPort: 1, workers: 0, threads: 1 });
    const { core, token, chainId, requester } = parties;
    const chain = { endpoint: anvil.url, chainId, emethContractAddress: core, tokenContractAddress: token };
    const secretAccessKeyFile = join(dir, 's3.secret');
    await writeFile(secretAccessKeyFile, OWNER.secretAccessKey, { mode: 0o600 });
    const { endpoint, region, bucket: name } = bucket;
    const s3 = {
      endpoint,
      region,
      bucket: name,
      prefix: 'emeth/',
      accessKeyId: OWNER.accessKeyId,
      secretAccessKeyFile,
    };
    const open = (storage: string) => startStorage(dir, storage, { ...chain, s3 });
    const storages = [await open('storage-a'), await open('storage-b')] as const;
    stack.push({
      async [Symbol.asyncDispose]() {
        await Promise.all(storages.map(({ role }) => role[Symbol.asyncDispose]()));
      },
    });
    const wallet = await openWallet({ privateKeyFile: requester.configPath.replace(/json$/, 'key') }, chainId);
    return {
      dir,
      bucket,
      storages,
      wallet,
      sign: (upload) => wallet.signTyped(STORAGE_DOMAIN, uploadTypes, upload),
      pass: openReadPass(NO_JOB, blobReaderOf(wallet)),
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startStorage(dir: string, name: string, settings: object): Promise<BucketStorage> {
  const [my_url, dataDir, config] = [
    `http://127.0.0.1:${await freePort()}`,
    join(dir, name),
    join(dir, `${name}.json`),
  ];
  await mkdir(dataDir);
  await writeFile(config, JSON.stringify({ ...settings, my_url }), { mode: 0o600 });
  const start = async () => {
    role = startRole(name, ['storage', '--config', config, '--data-dir', dataDir], join(dir, `${name}.log`));
    const isReady = () =>
      fetch(`${my_url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    await until(async () => !role.isRunning() || (await isReady()));
    if (!role.isRunning()) throw new Error(`${name} ended; see ${join(dir, `${name}.log`)}`);
  };
  let role!: RoleProcess;
  await start();
  return {
    url: `${my_url}/api/v1`,
    remote: new RemoteBlobs(`${my_url}/api/v1`),
    get role() {
      return role;
    },
    restart: start,
  };
}

/** Two masters with one key and one queue, each on a machine of its own, and a storage that outlives both. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAdminClient } from '../../src/admin/client';
import { newAccount } from '../../src/chain/sending/wallet';
import type { Party } from '../../src/demo/parties';
import type { JobId } from '../../src/domain/ids';
import { freePort } from '../../src/lib/free-port';
import type { AdminApi } from '../../src/protocol/admin';
import { runSql } from './each-database';
import { reconfigure, startStorage, untilSo } from './further-roles';
import { type MysqlOptions, startMariadb } from './mariadb';
import { type Network, startNetwork } from './network';

/** A master with a data directory and a worker of its own. */
export interface TwinMaster {
  readonly party: Party;
  readonly admin: AdminApi;
  /** Returns the lines of its log about the job. */
  log(jobId: JobId): Promise<string>;
}

export interface TwoMasters extends AsyncDisposable {
  readonly network: Network;
  readonly masters: readonly [TwinMaster, TwinMaster];
  /** Makes the claims on all jobs look older than any that is renewed. */
  ageClaims(): Promise<void>;
}

export async function startTwoMasters(env: NodeJS.ProcessEnv): Promise<TwoMasters> {
  const server = await startMariadb();
  const queue = await server.createDatabase();
  const storagePort = await freePort();
  const storageApi = `http://127.0.0.1:${storagePort}/api/v1`;
  const network = await startNetwork({
    workers: 1,
    env,
    master: {
      ...{ pollMs: 200, heartbeatMs: 500, storageApi, external_db: settingsOf(queue) },
      round: { leaseMs: 30_000, graceMs: 500, resumeMs: 500 },
    },
    verifier: { pollMs: 200, storageApi },
  });
  const { node, requester, workers, masterUrl } = network.parties;
  const storage = await startStorage(network, 'storage', storagePort);
  await reconfigure(requester, { storageApi });
  const url = `http://127.0.0.1:${await freePort()}`;
  const second = await derive(node, 'master second', { my_url: url });
  const privateKeyFile = await writeKey(network.dir, 'worker-second.key');
  const worker = await derive(workers[0] as Party, 'worker second', { master_node_url: url, privateKeyFile });
  for (const party of [second, worker]) network.restart(party);
  const masters = [twinOf(node, masterUrl), twinOf(second, url)] as const;
  for (const { admin } of masters)
    await untilSo('A master has no worker', async () => (await admin.workers()).length === 1);
  return {
    network,
    masters,
    ageClaims: async () => void (await runSql(queue, 'update jobs set beat_at_ms = 0 where beat_at_ms is not null')),
    async [Symbol.asyncDispose]() {
      for (const opened of [storage.role, network, server]) await opened[Symbol.asyncDispose]();
    },
  };
}

function twinOf(party: Party, url: string): TwinMaster {
  return {
    party,
    admin: openAdminClient(url),
    async log(jobId) {
      const log = await readFile(join(party.dataDir, 'logs', 'master.log'), 'utf8');
      return log
        .split('\n')
        .filter((line) => line.includes(jobId))
        .join('\n');
    },
  };
}

function settingsOf({ kind: _, ...settings }: MysqlOptions): object {
  return settings;
}

async function writeKey(dir: string, name: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(path, (await newAccount()).privateKey, { mode: 0o600 });
  return path;
}

/** A party with the settings of another, but for these, and with a data directory of its own. */
async function derive(base: Party, role: string, changes: object): Promise<Party> {
  const place = join(base.dataDir, '..', role.replace(' ', '-'));
  const party = { ...base, role, dataDir: place, configPath: `${place}.json` };
  await mkdir(party.dataDir);
  const settings = JSON.parse(await readFile(base.configPath, 'utf8')) as object;
  await writeFile(party.configPath, JSON.stringify({ ...settings, ...changes }), { mode: 0o600 });
  return party;
}

/** What the jobs of the chain need of a storage, and which jobs of an account are open. */
import type { Kysely } from 'kysely';
import { parseBlobReference } from '../domain/blob-reference';
import { type Address, Sha256 } from '../domain/ids';
import { chainStates, isTerminal } from '../domain/job';
import { parseJson } from '../lib/parse-json';
import type { BoardTables } from './board-schema';
import { textToWei } from './columns';
import type { QueueTables } from './queue-schema';

type ReadTables = QueueTables & BoardTables;

/** The blobs that open jobs name themselves. */
export interface OpenNames {
  names: Sha256[];
  /** File lists of their bases, which name the files. */
  lists: Sha256[];
  /** Manifests of submitted results, which name further blobs. */
  manifests: Sha256[];
}

const openStates = chainStates.filter((state) => state !== 'NONE' && !isTerminal(state));

/** Questions of a storage about jobs. */
export class StorageNeeds {
  constructor(private readonly db: Kysely<ReadTables>) {}

  /** Returns the fees of an account's open requests, and how many open jobs it has taken. */
  async openJobsOf(account: Address): Promise<{ feesWei: bigint; taken: number }> {
    const rows = await this.db
      .selectFrom('jobs')
      .select(['requester', 'node', 'fee_wei', 'chain_state'])
      .where('chain_state', 'in', openStates)
      .where((eb) => eb.or([eb('requester', '=', account), eb('node', '=', account)]))
      .execute();
    const requested = rows.filter(({ requester }) => requester === account);
    // A job that was given back keeps the name of its last node.
    const taken = rows.filter(({ node, chain_state }) => node === account && chain_state !== 'REQUESTED');
    return { feesWei: requested.reduce((sum, { fee_wei }) => sum + textToWei(fee_wei), 0n), taken: taken.length };
  }

  /** Returns what the jobs name that are not over on chain, or have changed since a time. */
  async openNames(changedSinceMs = Number.MAX_SAFE_INTEGER): Promise<OpenNames> {
    const jobs = await this.db
      .selectFrom('jobs')
      .select(['id', 'dataset', 'params', 'plan_json', 'result_json'])
      .where((eb) => eb.or([eb('chain_state', 'in', openStates), eb('updated_at_ms', '>=', changedSinceMs)]))
      .execute();
    const submitted = await this.db
      .selectFrom('chain_events')
      .innerJoin('jobs', 'jobs.id', 'chain_events.job_id')
      .select('chain_events.facts_json')
      .where('chain_events.type', '=', 'JobSubmitted')
      .where((eb) => eb.or([eb('jobs.chain_state', 'in', openStates), eb('jobs.updated_at_ms', '>=', changedSinceMs)]))
      .execute();
    return {
      names: jobs.flatMap((row) => [
        ...hashIn(row.dataset),
        ...namesIn(planOf(row).dataset?.sha256 ?? ''),
        ...resultNames(row.result_json),
      ]),
      lists: jobs.flatMap((row) => [...namesIn(planOf(row).base?.list ?? ''), ...baseIn(row.params)]),
      manifests: submitted.flatMap((row) => {
        const { facts } = JSON.parse(row.facts_json) as { facts: { resultHash?: string } };
        return namesIn(facts.resultHash?.slice(2) ?? '');
      }),
    };
  }

  /** Returns the blobs that this master's own rules keep or remove, whoever uploaded them besides. */
  async ownNames(): Promise<Set<Sha256>> {
    const rounds = await this.db.selectFrom('rounds').select(['theta', 'next_theta', 'delta', 'outer_state']).execute();
    const leases = await this.db.selectFrom('leases').select(['shard', 'update_sha256']).execute();
    const audits = await this.db.selectFrom('audits').select('update_sha256').execute();
    const results = await this.db
      .selectFrom('jobs')
      .select('result_json')
      .where('result_json', 'is not', null)
      .execute();
    const rows = [...rounds, ...leases, ...audits].flatMap((row) => Object.values(row) as (string | null)[]);
    return new Set([
      ...rows.flatMap((name) => namesIn(name ?? '')),
      ...results.flatMap(({ result_json }) => resultNames(result_json)),
    ]);
  }
}

function planOf({ plan_json }: { plan_json: string | null }) {
  return (plan_json ? JSON.parse(plan_json) : {}) as { dataset?: { sha256?: string }; base?: { list?: string } };
}

/** Anybody may write parameters. */
function baseIn(params: string): Sha256[] {
  const { base } = (parseJson(params) ?? {}) as { base?: unknown };
  return typeof base === 'string' ? hashIn(base) : [];
}

function hashIn(reference: string): Sha256[] {
  const name = parseBlobReference(reference)?.sha256;
  return name === undefined ? [] : [name];
}

function resultNames(resultJson: string | null): Sha256[] {
  const { manifest, blobs = [] } = (resultJson ? JSON.parse(resultJson) : {}) as {
    manifest?: string;
    blobs?: string[];
  };
  return [manifest ?? '', ...blobs].flatMap(namesIn);
}

function namesIn(text: string): Sha256[] {
  const { data } = Sha256.safeParse(text);
  return data === undefined ? [] : [data];
}

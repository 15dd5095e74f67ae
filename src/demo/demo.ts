/** The whole system on one machine, from a chain to everybody's pay, as processes of the real CLI. */
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { openChain } from '../chain/rpc/client';
import { type Address, JobId, Sha256 } from '../domain/ids';
import { systemClock as clock } from '../lib/clock';
import { AppError } from '../lib/errors';
import { freePort } from '../lib/free-port';
import type { AdminApi, JobDetails } from '../protocol/admin';
import { Manifest } from '../protocol/manifest';
import { startAnvil } from '../runner/anvil';
import { type RoleProcess, runCommand, startRole } from '../runner/cli-process';
import type { LiveLines } from '../terminal/live-lines';
import { openDemoBase } from './base';
import type { DemoCheat } from './cheat';
import { renderJob } from './job-lines';
import { type AsRequester, chatJob, type DemoJob, type DemoJobName, textJob } from './jobs';
import { WorkerNotes } from './notes';
import { makeParties, type Parties, type Party } from './parties';
import { type Balance, cheatOutcome, countAudits, type DemoSummary, ledgerOf } from './summary';
import { type DemoError, waitFor, watchJob } from './watch';

export interface DemoOptions {
  /** Everything the demo writes, except the model. Emptied at the start. */
  dir: string;
  /** Where the trained model goes; replaced if it is there. */
  modelDir: string;
  workers: number;
  /** A model from scratch on a text, or an adapter on conversations. */
  job: DemoJobName;
  /** Where the base of a chat job is kept. */
  cacheDir: string;
  /** How long that base is trained, where not as usual. */
  baseSteps?: number | undefined;
  /** A text of the user; default: Moby-Dick. */
  dataset?: string | undefined;
  /** Default: two passes over the text, or enough of the conversations to know them. */
  rounds?: number | undefined;
  /** Adds a worker that cheats in this way. */
  cheat?: DemoCheat | undefined;
}

export interface DemoDeps {
  report(line: string): void;
  view: LiveLines;
  /** The admin API of the master at this address. */
  openAdmin(masterUrl: string): Pick<AdminApi, 'workers' | 'job'>;
  signal: AbortSignal;
  /** Called at the end, with everything still running. */
  onDone(summary: DemoSummary, masterUrl: string): Promise<void>;
}

const FEE = '20emt';
const READY_MS = 300_000;
const DAY_S = 86_400;
/** The process of a worker that cheats; see `app/cheating-worker.ts`. */
const CHEATING_WORKER = join('app', 'cheating-worker.js');

/**
 * Runs chain, contracts, master, workers and verifier as separate processes of the real command line, then a
 * request, its training, verification and everybody's withdrawal. Whatever happens, no process is left
 * running.
 */
export async function runDemo(options: DemoOptions, deps: DemoDeps): Promise<DemoSummary> {
  const { report, signal } = deps;
  const startedMs = clock.now();
  await rm(options.dir, { recursive: true, force: true });
  await mkdir(options.dir, { recursive: true });
  const job = openJob(options, report);
  // What takes long is done before the clock of any job runs.
  await job.ready();

  report('Starting a chain and deploying the contracts');
  await using anvil = await startAnvil();
  const threads = Math.max(1, Math.floor(availableParallelism() / options.workers));
  const masterPort = await freePort();
  const parties = await makeParties({
    dir: options.dir,
    endpoint: anvil.url,
    masterPort,
    workers: options.workers,
    cheats: options.cheat ? 1 : 0,
    threads,
  });
  const { core, token, chainId } = parties;
  await using chain = await openChain({ endpoint: anvil.url, core, token, chainId });
  await registerNode(parties, signal);
  const before = await readBalances(chain, parties);

  await using roles = new RoleStack(options.dir);
  const admin = deps.openAdmin(parties.masterUrl);
  await startRoles(options, parties, roles, { ...deps, admin });

  const jobId = await requestJob(job, parties, deps);
  report(`Training job ${jobId}`);
  const assertAlive = () => roles.assertEssential();
  const cheats = parties.cheats.map((party) => ({ party, notes: new WorkerNotes(masterLog(parties), party.address) }));
  let utilisation: Partial<Record<Address, number>> = {};
  const show = async (details: JobDetails) => {
    utilisation = details.progress?.utilisation ?? utilisation;
    await showJob(details, cheats, deps);
  };
  const done = await watchJob(admin, jobId, { clock, signal, show, assertAlive });
  deps.view.end();

  report('Verified. Everybody withdraws');
  for (const party of everybody(parties)) await runCommand(['withdraw', ...as(party)], signal);
  report('A simulated day later, the node claims the reward of its slot');
  await chain.provider.send('evm_increaseTime', [DAY_S]);
  await chain.provider.send('evm_mine', []);
  const { slots: rewards } = Claimed.parse(await runCommand(['withdraw', ...as(parties.node)], signal));
  const after = await readBalances(chain, parties);
  const { result, sample } = await tryResult(job, options, jobId, parties, signal);
  const manifest = await fetchManifest(parties.masterUrl, jobId, result.manifest);
  const summary: DemoSummary = {
    jobId,
    status: result.state,
    rounds: done.rounds.filter((round) => round.state === 'folded').length,
    seconds: Math.round((clock.now() - startedMs) / 100) / 10,
    validationLoss: result.validationLoss,
    ledger: ledgerOf(done),
    audits: countAudits(manifest),
    cheats: cheats.map(({ party, notes }) => cheatOutcome(options.cheat ?? '', party, notes.all, manifest)),
    utilisation: parties.workers.map(({ role, address }) => ({ role, part: utilisation[address] })),
    rewards,
    balances: before.map((balance, i) => ({ ...balance, after: after[i]?.after ?? '0' })),
    modelDir: options.modelDir,
    loadedBy: job.loadedBy,
    sample,
  };
  await deps.onDone(summary, parties.masterUrl);
  return summary;
}

/** Starts every role, and waits until all of them are connected. */
async function startRoles(
  { workers, cheat }: DemoOptions,
  parties: Parties,
  roles: RoleStack,
  { report, signal, admin }: Pick<DemoDeps, 'report' | 'signal'> & { admin: Pick<AdminApi, 'workers'> },
): Promise<void> {
  report(`Starting a master, ${workers} workers and a verifier${cheat ? `, and a worker that cheats (${cheat})` : ''}`);
  const wait = { limitMs: READY_MS, clock, signal };
  roles.start('master', parties.node);
  await waitFor('The master is not ready', () => roles.checked(() => isHealthy(parties.masterUrl)), wait);
  for (const worker of parties.workers) roles.start('worker', worker);
  for (const worker of parties.cheats) roles.startCheat(cheat, worker);
  roles.start('verifier', parties.verifier);
  const isEverybodyHere = async () =>
    (await admin.workers()).filter(({ connected }) => connected).length >= workers + parties.cheats.length;
  await waitFor('The workers are not connected', () => roles.checked(isEverybodyHere), wait);
}

/** Shows how far the job is, and above that whatever the master has noticed of a cheat. */
async function showJob(
  job: JobDetails,
  cheats: readonly { party: Party; notes: WorkerNotes }[],
  { report, view }: Pick<DemoDeps, 'report' | 'view'>,
): Promise<void> {
  for (const { party, notes } of cheats) {
    for (const note of await notes.readNew()) {
      view.end();
      report(`${party.role}: ${note}`);
    }
  }
  view.show(renderJob(job));
}

/** Registers the node under an organisation of its own; the stake comes out of the tokens it was given. */
async function registerNode({ node }: Parties, signal: AbortSignal): Promise<void> {
  await runCommand(['register-node', '--organization', 'demo', '--wallet-account', node.address, ...as(node)], signal);
}

function openJob(options: DemoOptions, report: DemoDeps['report']): DemoJob {
  const { job, cacheDir, baseSteps, rounds, workers } = options;
  return job === 'text'
    ? textJob(options)
    : chatJob({ rounds, workers, openBase: () => openDemoBase({ cacheDir, steps: baseSteps, report }) });
}

async function requestJob(job: DemoJob, { requester }: Parties, { report, signal }: DemoDeps): Promise<JobId> {
  const { dataset, params } = await job.prepare(asRequester(requester, signal));
  const text = JSON.stringify(params);
  report(`Requesting a model for ${FEE}: ${text}`);
  const args = ['--dataset', dataset, '--fee', FEE, '--params', text, '--deadline', '6h'];
  const answer = await runCommand(['request', ...as(requester), ...args], signal);
  return z.object({ jobId: JobId }).parse(answer).jobId;
}

/** Fetches the model as the requester, every hash checked, and lets it write. */
async function tryResult(
  job: DemoJob,
  { modelDir }: DemoOptions,
  jobId: JobId,
  { requester }: Parties,
  signal: AbortSignal,
) {
  await rm(modelDir, { recursive: true, force: true });
  const result = Result.parse(await runCommand(['result', jobId, ...as(requester), '--out', modelDir], signal));
  return { result, sample: await job.tryModel(asRequester(requester, signal), modelDir) };
}

function asRequester(requester: Party, signal: AbortSignal): AsRequester {
  return ([command = '', ...args], input) => runCommand([command, ...as(requester), ...args], signal, input);
}

function as(party: Party): string[] {
  return ['--config', party.configPath, '--data-dir', party.dataDir];
}

const Claimed = z.object({ slots: z.array(z.object({ slot: z.int(), amountWei: z.string() })) });
const Result = z.object({
  manifest: Sha256,
  state: z.string(),
  validationLoss: z.object({ start: z.number(), end: z.number() }),
});

/** Processes of the demo's roles, ended in reverse order. */
class RoleStack implements AsyncDisposable {
  private readonly running: RoleProcess[] = [];

  constructor(private readonly dir: string) {}

  start(command: 'master' | 'worker' | 'verifier', party: Party): void {
    const log = join(this.dir, `${party.role.replace(' ', '-')}.log`);
    this.running.push(startRole(party.role, [command, ...as(party)], log));
  }

  startCheat(kind: DemoCheat | undefined, party: Party): void {
    const log = join(this.dir, `${party.role}.log`);
    const args = [kind ?? '', party.configPath, party.dataDir];
    this.running.push(startRole(party.role, args, log, { entry: CHEATING_WORKER }));
  }

  /**
   * Throws when the master, the verifier or every worker has ended; a job survives the loss of single
   * workers.
   */
  assertEssential(): void {
    const workers = this.running.filter(({ name }) => name.startsWith('worker'));
    const essential = this.running.filter(({ name }) => !/^(worker|cheat)/.test(name));
    const lost = essential.find((role) => !role.isRunning());
    const name =
      lost?.name ?? (workers.length > 0 && workers.every((role) => !role.isRunning()) ? 'every worker' : undefined);
    if (name === undefined) return;
    throw new AppError<DemoError>(
      { code: 'demo/process-ended', name },
      `The ${name} has ended; its log is in ${this.dir}.`,
    );
  }

  /** Runs a check, but throws instead once an essential process has ended. */
  async checked(check: () => Promise<boolean>): Promise<boolean> {
    this.assertEssential();
    return check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const role of this.running.reverse()) await role[Symbol.asyncDispose]();
  }
}

async function fetchManifest(masterUrl: string, jobId: JobId, name: Sha256): Promise<Manifest> {
  const response = await fetch(`${masterUrl}/api/v1/blobs/${name}?job=${jobId}`);
  return Manifest.parse(await response.json());
}

function masterLog({ node }: Parties): string {
  return join(node.dataDir, 'logs', 'master.log');
}

async function isHealthy(masterUrl: string): Promise<boolean> {
  return (await fetch(`${masterUrl}/healthz`)).ok;
}

function everybody({ requester, node, workers, cheats, verifier }: Parties): Party[] {
  return [requester, node, ...workers, ...cheats, verifier];
}

async function readBalances(chain: Awaited<ReturnType<typeof openChain>>, parties: Parties): Promise<Balance[]> {
  const accounts = [
    ...everybody(parties),
    { role: 'deployer', address: parties.deployer },
    { role: 'escrow contract', address: parties.core },
    { role: 'node registry', address: parties.registry },
    { role: 'token contract', address: parties.token },
  ];
  return Promise.all(
    accounts.map(async ({ role, address }) => {
      const wei = (await chain.tokenBalance(address)).toString();
      return { role, address, before: wei, after: wei };
    }),
  );
}

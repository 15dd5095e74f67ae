/** The whole system for end-to-end tests: chain, master, workers and verifier as real processes. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { openAdminClient } from '../../src/admin/client';
import { type Chain, openChain } from '../../src/chain/rpc/client';
import { makeParties, type Parties, type Party } from '../../src/demo/parties';
import { waitFor } from '../../src/demo/watch';
import { JobId } from '../../src/domain/ids';
import { systemClock as clock } from '../../src/lib/clock';
import { freePort } from '../../src/lib/free-port';
import type { AdminApi, JobDetails } from '../../src/protocol/admin';
import { startAnvil } from '../../src/runner/anvil';
import { type RoleProcess, runCommand, startRole } from '../../src/runner/cli-process';
import type { ChaosProxy } from './chaos-proxy';
import { builtCli } from './cli';
import { testPython as python } from './tiny-job';

/** Shorter than a test's own timeout, so that a failure names what it waited for. */
const LIMIT_MS = 500_000;

/** A job small enough for a test: about 0.02M parameters. */
export const tinyParams = {
  model: { layers: 1, heads: 1, width: 32, context: 32 },
  batch: 4,
  epochs: 1,
  round: { steps: 40 },
};

/** Chain, master, workers and verifier as separate processes of the built command line. */
export interface Network extends AsyncDisposable {
  readonly dir: string;
  readonly parties: Parties;
  readonly chain: Chain;
  readonly admin: AdminApi;
  readonly master: RoleProcess;
  readonly workers: RoleProcess[];
  readonly verifier: RoleProcess;
  /** Starts the process of a party, again after a kill; does not wait for it. */
  restart(party: Party): void;
  /** The process of a party that was started. */
  processOf(party: Party): RoleProcess;
  /** Runs a command as a party and returns its JSON answer. */
  command(party: Party, ...args: string[]): Promise<unknown>;
  /** Requests a job on a text file or a dataset reference. */
  request(dataset: string, params: object | string, fee?: string): Promise<JobId>;
  writeText(name: string, text: string | Buffer): Promise<string>;
  /** Returns the wei of the job's token that all parties and the contract have together. */
  totalTokens(): Promise<bigint>;
  /** Waits until the check holds for the job as the master reports it; an error names `what`. */
  until(jobId: JobId, what: string, check: (job: JobDetails) => boolean): Promise<JobDetails>;
}

/** What a network differs by from the usual one. */
export interface NetworkOptions {
  workers: number;
  /** Settings by role. */
  master?: object;
  worker?: object;
  verifier?: object;
  /** Variables that all processes get. */
  env?: NodeJS.ProcessEnv;
  /** The master reaches the chain through it. */
  chainProxy?: ChaosProxy;
  /** Workers reach the master through it. */
  workerProxy?: ChaosProxy;
  /** The master's data directory; default: one beside the others'. */
  masterDir?: string;
}

export async function startNetwork(options: NetworkOptions): Promise<Network> {
  builtCli();
  const signal = new AbortController().signal;
  const dir = await mkdtemp(join(tmpdir(), 'emeth-network-'));
  const stack: AsyncDisposable[] = [{ [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) }];
  const close = async () => {
    for (const opened of stack.reverse()) await opened[Symbol.asyncDispose]();
  };
  const wait = (what: string, check: () => Promise<boolean>) =>
    waitFor(what, check, { limitMs: LIMIT_MS, clock, signal });

  try {
    const anvil = await startAnvil();
    stack.push(anvil);
    options.chainProxy?.target(anvil.port);
    const endpoint = options.chainProxy && `http://127.0.0.1:${options.chainProxy.port}`;
    const masterPort = await freePort();
    options.workerProxy?.target(masterPort);
    const masterUrl = options.workerProxy && `http://127.0.0.1:${options.workerProxy.port}`;
    const parties = await makeParties({
      dir,
      endpoint: anvil.url,
      masterPort,
      workers: options.workers,
      threads: 1,
      settings: {
        node: {
          python,
          min_fee: '1',
          heartbeatMs: 1000,
          round: { leaseMs: 30_000, graceMs: 3000, resumeMs: 1500 },
          ...(endpoint ? { endpoint } : {}),
          ...options.master,
        },
        // Measuring the speed takes seconds, and tests do not need the real one.
        worker: {
          ...{ python, powerCapacity: 50 },
          ...(masterUrl ? { master_node_url: masterUrl } : {}),
          ...options.worker,
        },
        verifier: { python, ...options.verifier },
      },
    });
    if (options.masterDir !== undefined) parties.node.dataDir = options.masterDir;
    const chain = await openChain({ endpoint: anvil.url, core: parties.core, token: parties.token });
    stack.push(chain);
    const admin = openAdminClient(parties.masterUrl);
    const running = new Map<Party, RoleProcess>();
    const processOf = (party: Party) => running.get(party) as RoleProcess;
    stack.push({
      async [Symbol.asyncDispose]() {
        for (const role of [...running.values()].reverse()) await role[Symbol.asyncDispose]();
        await requireNoWarnings(dir);
      },
    });
    const start = (party: Party) => {
      const command = party.role === 'node' ? 'master' : (party.role.split(' ')[0] ?? '');
      const log = join(dir, `${party.role.replace(' ', '-')}.log`);
      running.set(party, startRole(party.role, [command, ...as(party)], log, { env: options.env ?? {} }));
    };
    const isHealthy = async () => (await fetch(`${parties.masterUrl}/healthz`)).ok;
    const enter = ['register-node', '--organization', 'network', '--wallet-account', parties.node.address];
    await runCommand([...enter, ...as(parties.node)], signal);
    start(parties.node);
    await wait('The master is not ready', isHealthy);
    for (const party of [...parties.workers, parties.verifier]) start(party);
    await wait('The workers are not connected', async () => (await admin.workers()).length === options.workers);

    return {
      dir,
      parties,
      chain,
      admin,
      get master() {
        return processOf(parties.node);
      },
      get workers() {
        return parties.workers.map(processOf);
      },
      get verifier() {
        return processOf(parties.verifier);
      },
      restart: start,
      processOf,
      command: (party, ...args) => runCommand([...args, ...as(party)], signal),
      async request(dataset, params, fee = '20emt') {
        const text = typeof params === 'string' ? params : JSON.stringify(params);
        const args = ['request', '--dataset', dataset, '--fee', fee, '--params', text, '--deadline', '1h'];
        return z.object({ jobId: JobId }).parse(await runCommand([...args, ...as(parties.requester)], signal)).jobId;
      },
      async writeText(name, text) {
        const path = join(dir, name);
        await writeFile(path, text);
        return path;
      },
      async totalTokens() {
        const { requester, node, workers, verifier, deployer, core } = parties;
        const accounts = [...[requester, node, ...workers, verifier].map(({ address }) => address), deployer, core];
        const balances = await Promise.all(accounts.map((account) => chain.tokenBalance(account)));
        return balances.reduce((sum, balance) => sum + balance, 0n);
      },
      async until(jobId, what, check) {
        let last: JobDetails | undefined;
        await wait(what, async () => {
          last = await admin.job(jobId);
          return check(last);
        });
        if (!last) throw new Error(what);
        return last;
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Node warns of what may be a leak; no role of a healthy network gives it a reason. */
async function requireNoWarnings(dir: string): Promise<void> {
  for (const name of (await readdir(dir)).filter((file) => file.endsWith('.log'))) {
    const warning = /^\(node:\d+\) .*Warning.*$/m.exec(await readFile(join(dir, name), 'utf8'));
    if (warning) throw new Error(`${name}: ${warning[0]}`);
  }
}

/** Returns English-like text of about this many bytes, the same every time. */
export function makeText(bytes: number): string {
  const words = [
    'the',
    'whale',
    'sea',
    'ship',
    'captain',
    'and',
    'of',
    'a',
    'white',
    'harpoon',
    'deck',
    'wind',
    'night',
    'was',
  ];
  let text = '';
  let state = 1;
  while (text.length < bytes) {
    state = (state * 48271) % 2147483647;
    text += words[state % words.length] + (state % 11 === 0 ? '.\n\n' : ' ');
  }
  return text;
}

function as(party: Party): string[] {
  return ['--config', party.configPath, '--data-dir', party.dataDir];
}

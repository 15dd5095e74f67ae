/** The whole system for end-to-end tests: chain, master, workers and verifier as real processes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
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
import { builtCli } from './cli';
import { testPython } from './tiny-job';

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
  /** Starts the master again after a kill. */
  restartMaster(): Promise<void>;
  /** Runs a command as a party and returns its JSON answer. */
  command(party: Party, ...args: string[]): Promise<unknown>;
  /** Requests a job on a text file or a dataset reference. */
  request(dataset: string, params: object | string): Promise<JobId>;
  writeText(name: string, text: string | Buffer): Promise<string>;
  /** Waits until the check holds for the job as the master reports it; an error names `what`. */
  until(jobId: JobId, what: string, check: (job: JobDetails) => boolean): Promise<JobDetails>;
}

export async function startNetwork(options: { workers: number; master?: object }): Promise<Network> {
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
    const parties = await makeParties({
      dir,
      endpoint: anvil.url,
      masterPort: await freePort(),
      workers: options.workers,
      threads: 1,
      settings: {
        node: {
          python: testPython,
          min_fee: '1',
          heartbeatMs: 1000,
          round: { leaseMs: 30_000, graceMs: 3000, resumeMs: 1500 },
          ...options.master,
        },
        // Measuring the speed takes seconds, and tests do not need the real one.
        worker: { python: testPython, powerCapacity: 50 },
        verifier: { python: testPython },
      },
    });
    const chain = await openChain({ endpoint: anvil.url, core: parties.core, token: parties.token });
    stack.push(chain);
    const admin = openAdminClient(parties.masterUrl);
    const start = (command: string, party: Party) => {
      const role = startRole(party.role, [command, ...as(party)], join(dir, `${party.role.replace(' ', '-')}.log`));
      stack.push(role);
      return role;
    };
    const isHealthy = async () => (await fetch(`${parties.masterUrl}/healthz`)).ok;
    const enter = ['register-node', '--organization', 'network', '--wallet-account', parties.node.address];
    await runCommand([...enter, ...as(parties.node)], signal);
    let master = start('master', parties.node);
    await wait('The master is not ready', isHealthy);
    const workers = parties.workers.map((party) => start('worker', party));
    start('verifier', parties.verifier);
    await wait('The workers are not connected', async () => (await admin.workers()).length === options.workers);

    return {
      dir,
      parties,
      chain,
      admin,
      workers,
      get master() {
        return master;
      },
      async restartMaster() {
        master = start('master', parties.node);
        await wait('The master is not ready again', isHealthy);
      },
      command: (party, ...args) => runCommand([...args, ...as(party)], signal),
      async request(dataset, params) {
        const text = typeof params === 'string' ? params : JSON.stringify(params);
        const args = ['request', '--dataset', dataset, '--fee', '20emt', '--params', text, '--deadline', '1h'];
        return z.object({ jobId: JobId }).parse(await runCommand([...args, ...as(parties.requester)], signal)).jobId;
      },
      async writeText(name, text) {
        const path = join(dir, name);
        await writeFile(path, text);
        return path;
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

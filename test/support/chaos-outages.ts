/** Each thing that a master needs, away for a while in each state of a job. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openChaosProxy } from './chaos-proxy';
import { CrashRun } from './crash-run';
import { startMariadb } from './mariadb';
import { makeText, type NetworkOptions, startNetwork, tinyParams } from './network';
import { outageInEachState, type Supply, supplyBehind } from './outages';
import { openScratch } from './scratch';

export interface OutageReport {
  what: string;
  outageS: number;
  state: string;
  backMs: number;
  /** How the job ended. */
  end: string;
}

/** Takes away the queue's database, the disk and the chain, one after the other. */
export async function runOutages(outageS: number, log: (line: string) => void): Promise<OutageReport[]> {
  await using scratch = await openScratch();
  await using server = await startMariadb();
  const { kind: _, ...database } = await server.createDatabase();
  await using queue = await openChaosProxy(database.port);
  await using chain = await openChaosProxy(1);
  await using disk = mountDisk(scratch.file('disk'));
  const external_db = { ...database, port: queue.port };
  const supplies: { what: string; supply: Supply; master?: object }[] = [
    { what: 'database', supply: supplyBehind(queue), master: { external_db } },
    { what: 'chain', supply: supplyBehind(chain) },
    { what: 'disk', supply: disk, master: { minFreeBytes: 2 ** 20 } },
  ];
  const reports: OutageReport[] = [];
  for (const { what, supply, master = {} } of supplies) {
    const crashes = new CrashRun(scratch.file(`points-${what}`));
    const options: NetworkOptions = { workers: 1, env: crashes.env, chainProxy: chain, master };
    await using network = await startNetwork(what === 'disk' ? { ...options, masterDir: disk.path } : options);
    const text = await network.writeText('text.txt', makeText(24_000));
    const request = () => network.request(text, tinyParams);
    const { job, recoveries } = await outageInEachState(network, crashes, {
      supply,
      outageMs: outageS * 1000,
      request,
    });
    for (const recovery of recoveries) reports.push({ what, outageS, ...recovery, end: job.state });
    log(`${what} away ${outageS} s in each state: ${job.state}`);
  }
  return reports;
}

/** A small file system in memory that can be filled up; needs root. */
function mountDisk(path: string): Supply & AsyncDisposable & { path: string } {
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', path]);
  const filler = join(path, 'filler');
  return {
    path,
    take() {
      const { bavail, bsize } = statfsSync(path);
      writeFileSync(filler, Buffer.alloc(bavail * bsize));
    },
    giveBack: () => rmSync(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      execFileSync('umount', [path]);
    },
  };
}

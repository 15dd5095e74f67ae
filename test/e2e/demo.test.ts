/** The demo as a user runs it. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { DemoSummary } from '../../src/demo/summary';
import { builtCli } from '../support/cli';
import { listExposed } from '../support/exposed-files';
import { makeText } from '../support/network';
import { waitUntilGone } from '../support/processes';
import { openScratch } from '../support/scratch';
import { openTerminal } from '../support/terminal';
import { realPython } from '../support/tiny-job';

const run = promisify(execFile);

test('demo on a text: pays to the last wei, private files, a model transformers loads', async () => {
  await using scratch = await openScratch();
  const dataset = scratch.file('text.txt');
  const summaryFile = scratch.file('summary.json');
  await writeFile(dataset, makeText(60_000));
  const args = ['demo', '--dataset', dataset, '--rounds', '1', '--data-dir', scratch.path, '--json', summaryFile];
  // As users have it, and with the walls that they get where bubblewrap is.
  const env = { ...process.env, EMETH_PYTHON: realPython, EMETH_SANDBOX: 'require' };
  await run(process.execPath, [builtCli(), ...args], { env });

  const summary = JSON.parse(await readFile(summaryFile, 'utf8')) as DemoSummary;
  expect(summary).toMatchObject({ status: 'VERIFIED', ledger: { minMerged: 1, maxMerged: 1 }, audits: { failed: 0 } });
  expect(summary.audits.drawn).toBeGreaterThanOrEqual(2); // each worker's first lease
  expect(summary.validationLoss.end).toBeLessThan(summary.validationLoss.start);
  expect(summary.sample.length).toBeGreaterThan(20);
  const total = (side: 'before' | 'after') =>
    summary.balances.reduce((sum, balance) => sum + BigInt(balance[side]), 0n);
  // The job's burnt part is 5 % of 20 EMT at most, and 80 % of that the most the node's reward may be.
  const minted = summary.rewards.reduce((sum, { amountWei }) => sum + BigInt(amountWei), 0n);
  expect(total('after')).toBe(total('before') + minted);
  const escrowed = summary.balances.find(({ role }) => role === 'escrow contract');
  expect(minted).toBe((BigInt(escrowed?.after ?? 0) * 8n) / 10n);
  expect(summary.balances.map(({ role }) => role)).toEqual([
    'requester',
    'node',
    'worker 1',
    'worker 2',
    'verifier',
    'deployer',
    'escrow contract',
    'node registry',
    'token contract',
  ]);

  // Data sets, weights, queues, logs: of all roles and their Python children.
  expect(await listExposed(scratch.path)).toEqual(['text.txt 644']);

  const code = [
    'import sys',
    'from transformers import pipeline',
    'print(pipeline("text-generation", sys.argv[1])("the whale")[0]["generated_text"])',
  ].join('\n');
  const { stdout } = await run(realPython, ['-c', code, summary.modelDir], { cwd: scratch.path });
  expect(stdout).toMatch(/^the whale/);
});

test('Ctrl-C in mid-training: no process is left behind', async () => {
  await using scratch = await openScratch();
  const dataset = scratch.file('text.txt');
  await writeFile(dataset, makeText(400_000));
  const args = [builtCli(), 'demo', '--dataset', dataset, '--data-dir', scratch.path];
  await using terminal = openTerminal(process.execPath, args, { cwd: scratch.path });
  await terminal.waitFor(/step \d+\/\d+/);
  const started = processesNaming(scratch.path);
  const children = started.flatMap((pid) => childrenOf(pid));
  expect(started.length).toBeGreaterThanOrEqual(5);
  expect(children.length).toBeGreaterThanOrEqual(7); // anvil, four roles, and their Python children

  terminal.type('\x03');
  expect(await terminal.exited).toBe(130);
  for (const pid of [...started, ...children]) await waitUntilGone(pid);
});

/** Processes whose command line names the path. */
function processesNaming(path: string): number[] {
  return pids().filter((pid) => readProc(pid, 'cmdline').includes(path));
}

function childrenOf(parent: number): number[] {
  return pids().filter((pid) => /^\d+ \(.*\) \S (\d+)/s.exec(readProc(pid, 'stat'))?.[1] === String(parent));
}

function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function readProc(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

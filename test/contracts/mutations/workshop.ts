/** Scratch copies of the parts of the project that forge needs, and runs of forge in them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findForge } from '../../support/forge';

const root = join(__dirname, '..', '..', '..');
const copied = ['src/contracts', 'test/contracts/forge', 'foundry.toml'];
const timeoutMs = 240_000;

/**
 * Sequences of a hundred calls in which the invariants must notice a mutation; a fifth of those of every test
 * run.
 */
export const sequences = 48;

const invariants = 'test/contracts/forge/Invariants.t.sol';

/** `unit`: all tests with written calls; `invariants`: the two campaigns whose calls forge chooses. */
export type Phase = 'unit' | 'invariants';

/**
 * Compiles in half the time of the project's own settings: the code need not be small, only right. Linting
 * would take a second for each mutation.
 */
const settings = `
[profile.default.optimizer_details]
yul = true
peephole = false
inliner = false
jumpdest_remover = false
order_literals = false
deduplicate = false
cse = false
constant_optimizer = false
[profile.default.optimizer_details.yulDetails]
stackAllocation = true
optimizerSteps = "u"

[lint]
lint_on_build = false
`;

/** Replaces `scripts/solc.cjs`: asks the compiler that is already running. */
const client = (socket: string) => `#!/usr/bin/env node
const socket = require('node:net').connect(${JSON.stringify(socket)});
socket.pipe(process.stdout);
if (process.argv.includes('--version')) socket.end();
else process.stdin.pipe(socket);
`;

/**
 * The same seed for every run, and few runs: a mutation that only thousands of runs find needs a test of its
 * own.
 */
const environment = {
  ...process.env,
  FOUNDRY_FUZZ_SEED: '0x1',
  FOUNDRY_FUZZ_RUNS: '64',
  FOUNDRY_INVARIANT_RUNS: `${sequences}`,
  FOUNDRY_INVARIANT_DEPTH: '100',
  FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT: '0',
};

/** The outcome of a run of forge: the failed tests as `Contract.test`, sorted, or why there is none. */
export type ForgeOutcome =
  | { kind: 'ran'; passed: number; failed: string[] }
  | { kind: 'endless' }
  | { kind: 'broken'; output: string };

/** Starts the compiler. It ends with this process, or by `kill`. */
export async function startCompiler(socket: string): Promise<ChildProcess> {
  rmSync(socket, { force: true });
  const server = spawn(process.execPath, [join(__dirname, 'solc-server.cjs'), socket], {
    cwd: root,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  if (server.stdout) await once(server.stdout, 'data');
  return server;
}

/**
 * Copies the contracts and the phase's tests from the working tree. Tests that a phase does not run need not
 * be compiled for it.
 */
export function copyProject(dir: string, socket: string, phase: Phase): void {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'scripts'), { recursive: true });
  for (const path of copied) cpSync(join(root, path), join(dir, path), { recursive: true });
  const others = phase === 'unit' ? invariants : 'test/contracts/forge/unit';
  rmSync(join(dir, others), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  appendFileSync(join(dir, 'foundry.toml'), settings);
  writeFileSync(join(dir, 'scripts', 'solc.cjs'), client(socket), { mode: 0o755 });
}

/**
 * Makes `dir` a copy of `base` with everything forge compiled there, so that only the mutated files are
 * compiled again.
 */
export function resetCopy(dir: string, base: string): void {
  rmSync(dir, { recursive: true, force: true });
  cpSync(base, dir, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
}

function readReport(output: string): { passed: number; failed: string[] } | undefined {
  const start = output.indexOf('{"');
  if (start < 0) return undefined;
  const suites = JSON.parse(output.slice(start)) as Record<
    string,
    { test_results: Record<string, { status: string }> }
  >;
  const tests = Object.entries(suites).flatMap(([suite, { test_results: results }]) =>
    Object.entries(results).map(([test, { status }]) => ({
      name: `${suite.split(':').at(-1)}.${test.replace(/\(.*/, '')}`,
      failed: status === 'Failure',
    })),
  );
  const failed = tests.filter((test) => test.failed).map(({ name }) => name);
  return { passed: tests.length - failed.length, failed: failed.sort() };
}

/** Runs the tests of a phase in its copy. The invariants stop at the first failure. */
export async function runForge(dir: string, phase: Phase): Promise<ForgeOutcome> {
  const choice = phase === 'unit' ? '--no-match-path' : '--match-path';
  const more = phase === 'unit' ? [] : ['--fail-fast'];
  const forge = spawn(findForge(), ['test', '--json', choice, invariants, ...more], {
    cwd: dir,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  });
  const [out, err]: [string[], string[]] = [[], []];
  forge.stdout.setEncoding('utf8').on('data', (text: string) => out.push(text));
  forge.stderr.setEncoding('utf8').on('data', (text: string) => err.push(text));
  const [status] = (await once(forge, 'close')) as [number | null];
  if (status === null) return { kind: 'endless' };
  const output = `${out.join('')}\n${err.join('')}`;
  const report = readReport(out.join(''));
  return report && report.passed + report.failed.length > 0 ? { kind: 'ran', ...report } : { kind: 'broken', output };
}

/**
 * The demo's job by two builds in one run: this one, and that of an older commit.
 *
 * The older commit is checked out beside (`git worktree`) and built with the packages that are installed
 * here. Each build runs its own demo: chain, master, two workers, verifier. The builds have their turns, or
 * run at once with `--together`, where a machine has other work to do and both should meet the same of it.
 *
 *     npm run bench:builds -- [--old 171f387] [--rounds 6] [--pairs 1] [--together]
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openScratch } from '../../test/support/scratch';
import { type DemoRun, runDemoOf } from './demo-run';
import { median, printReport, rowOf, tell } from './report';

const root = join(__dirname, '..', '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

interface Tree extends AsyncDisposable {
  readonly dir: string;
}

/** Checks the commit out into a folder and builds it there. */
async function openTree(commit: string, dir: string): Promise<Tree> {
  tell(`building ${commit}`);
  const git = (...args: string[]) => execFileSync('git', ['-C', root, ...args], { stdio: ['ignore', 'ignore', 2] });
  git('worktree', 'add', '--detach', dir, commit);
  const node = (...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: dir, stdio: ['ignore', 'ignore', 2] });
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  // Made anew only where that commit's contracts are others.
  const generated = join('src', 'chain', 'generated');
  if (existsSync(join(root, generated))) cpSync(join(root, generated), join(dir, generated), { recursive: true });
  node(bin('ts-node'), '--swc', join('scripts', 'build-contracts.ts'));
  node(bin('tsc'), '-p', 'tsconfig.build.json', '--outDir', 'dist');
  return {
    dir,
    async [Symbol.asyncDispose]() {
      git('worktree', 'remove', '--force', dir);
    },
  };
}

interface Pair {
  ours: DemoRun;
  theirs: DemoRun;
}

async function runPairs(trees: { ours: string; theirs: string }, scratch: string, pairs: number): Promise<Pair[]> {
  const found: Pair[] = [];
  for (let i = 0; i < pairs; i += 1) {
    const run = (name: keyof Pair) => {
      const options = { tree: trees[name], dir: join(scratch, `${name}-${i}`), rounds: values.rounds };
      return runDemoOf(options, (line) => tell(`${name === 'ours' ? 'this build' : values.old}: ${line}`));
    };
    const order: (keyof Pair)[] = i % 2 === 0 ? ['ours', 'theirs'] : ['theirs', 'ours'];
    const pair: Partial<Pair> = {};
    const takeTurn = async (name: keyof Pair) => {
      pair[name] = await run(name);
    };
    if (values.together) await Promise.all(order.map(takeTurn));
    else for (const name of order) await takeTurn(name);
    found.push(pair as Pair);
  }
  return found;
}

/** The loss that a run ended with, as its rounds showed it. */
function lastLoss({ curve }: DemoRun): number {
  return curve.at(-1)?.loss ?? Number.NaN;
}

/** Seconds until a run had a loss; undefined where it never had. */
function secondsTo(loss: number, { curve }: DemoRun): number | undefined {
  return curve.find((mark) => mark.loss <= loss)?.seconds;
}

function printRows(pairs: readonly Pair[]): void {
  const beside = (name: string, bar: string, unit: string, pick: (run: DemoRun, pair: Pair) => number) => {
    const sides = (of: keyof Pair) => pairs.map((pair) => pick(pair[of], pair));
    const [ours, theirs] = [sides('ours'), sides('theirs')];
    const ratio = median(ours.map((value, i) => value / (theirs[i] ?? Number.NaN)));
    return rowOf({
      name: `demo ÷ ${values.old}, ${name}`,
      bar,
      ratio,
      ours: median(ours),
      theirs: median(theirs),
      unit,
    });
  };
  const isReached = pairs.every(({ ours, theirs }) => secondsTo(lastLoss(theirs), ours) !== undefined);
  if (!isReached) tell("this build did not reach the older build's loss, so the time to it is not told");
  const timeTo = (run: DemoRun, { theirs }: Pair) => secondsTo(lastLoss(theirs), run) ?? Number.NaN;
  const rows = [
    ...(isReached ? [beside("time to the older build's loss", '≤ 0.45', 'seconds', timeTo)] : []),
    beside('time of the job', '≤ 1', 'seconds', ({ jobSeconds }) => jobSeconds),
    beside('loss at the end', '', 'nats per token', ({ loss }) => loss),
    beside('bytes of rounds per token', '', 'bytes up and down', ({ bytesPerToken }) => bytesPerToken),
    beside('the whole demo', '', 'seconds', ({ demoSeconds }) => demoSeconds),
  ];
  printReport(rows, { old: values.old, together: values.together, pairs });
}

async function main(): Promise<void> {
  await using scratch = await openScratch();
  execFileSync(process.execPath, [join(root, 'scripts', 'run.cjs'), 'build'], { stdio: ['ignore', 2, 2] });
  await using old = await openTree(values.old, scratch.file('old'));
  printRows(await runPairs({ ours: root, theirs: old.dir }, scratch.path, Number(values.pairs)));
}

const { values } = parseArgs({
  options: {
    old: { type: 'string', default: '171f387' },
    rounds: { type: 'string' },
    pairs: { type: 'string', default: '1' },
    together: { type: 'boolean', default: false },
  },
});
void main();

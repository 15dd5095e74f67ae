/** Trees of cases and forge tests agree, leaf by leaf. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/**
 * The trees under test/contracts/trees list what a contract does in which case; forge/unit has one test for
 * each of their leaves.
 *
 * The rule that joins them: a tree's first line is `<Contract>_<function>`, and its tests are in a contract
 * called `<Contract>_<function>_Tree`. A leaf's test is called `test_`, then every line on the way to the
 * leaf, joined by `_`; a line is written in PascalCase, a name like `EmethCore_WrongState` counts as
 * `WrongState`, and other characters are dropped. Views of the escrow share the tree `EmethCore_views`, as
 * its first branches.
 *
 *     EmethCore_process
 *     └── when the job is not requested
 *         └── it reverts with EmethCore_WrongState      test_WhenTheJobIsNotRequested_ItRevertsWithWrongState
 *
 * Contracts whose names do not end in `_Tree` (fuzzed properties, old defects) need no tree.
 */
const treesDir = join(__dirname, 'trees');
const unitDir = join(__dirname, 'forge', 'unit');
const sourcesDir = join(__dirname, '..', '..', 'src', 'contracts');

/** Contracts that stand alone; all other sources make up the escrow. */
const standingAlone = ['NodeRegistry', 'RewardPool', 'EmethToken'];

const filesIn = (dir: string, end: string) =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(end))
    .map((name) => ({ name, text: readFileSync(join(dir, name), 'utf8') }));

function inPascalCase(line: string): string {
  const words = line
    .replaceAll("'", '')
    .split(/[^A-Za-z0-9_]+/)
    .filter((word) => word !== '');
  return words
    .map((word) =>
      word
        .replace(/^[A-Z]\w*[a-z]_/, '')
        .replaceAll('_', '')
        .replace(/^./, (letter) => letter.toUpperCase()),
    )
    .join('');
}

/** Returns the names of the tests that a tree requires. */
function leavesOf(tree: string): { root: string; tests: string[] } {
  const [root = '', ...lines] = tree.trimEnd().split('\n');
  const nodes = lines.map((line) => {
    const found = /^((?:│ {3}| {4})*)[├└]── (\S.*)$/.exec(line);
    if (!found) throw new Error(`Not a line of a tree: ${line}`);
    return { depth: (found[1] ?? '').length / 4, name: inPascalCase(found[2] ?? '') };
  });
  const tests: string[] = [];
  const path: string[] = [];
  for (const [i, { depth, name }] of nodes.entries()) {
    if (depth > path.length) throw new Error(`${root}: ${name} hangs from nothing`);
    path.splice(depth, Number.POSITIVE_INFINITY, name);
    if ((nodes[i + 1]?.depth ?? 0) <= depth) tests.push(`test_${path.join('_')}`);
  }
  return { root, tests };
}

/** Returns the source of a contract of tests. */
function bodyOf(contract: string): string {
  const written = filesIn(unitDir, '.t.sol').flatMap(({ text }) => text.split(/^(?=contract )/m));
  return written.find((body) => body.startsWith(`contract ${contract} `)) ?? '';
}

/** Returns, for each contract, the tests that forge would run. */
function testsIn(source: string): [string, string[]][] {
  return source
    .split(/^(?=contract )/m)
    .slice(1)
    .map((body) => [
      /^contract (\w+)/.exec(body)?.[1] ?? '',
      [...body.matchAll(/function (test\w*)\([^)]*\)\s+(?:external|public)/g)].map((found) => found[1] ?? ''),
    ]);
}

const trees = filesIn(treesDir, '.tree').map(({ name, text }) => ({ name, ...leavesOf(text) }));
const contracts = new Map(
  filesIn(unitDir, '.t.sol')
    .flatMap(({ text }) => testsIn(text))
    .filter(([name]) => name.endsWith('_Tree')),
);

test.each(trees.map((tree) => [tree.name, tree] as const))('%s: one test for each leaf', (name, { root, tests }) => {
  expect(`${root}.tree`).toBe(name.replaceAll(/[/\\]/g, '_'));
  expect(new Set(tests).size).toBe(tests.length);
  expect(contracts.get(`${root}_Tree`)).toEqual(tests);
});

test('every contract of tests: it has a tree', () => {
  expect([...contracts.keys()].sort()).toEqual(trees.map(({ root }) => `${root}_Tree`).sort());
});

/** Returns the public functions and the public variables of a contract. */
function offeredBy(contract: string): { functions: string[]; getters: string[] } {
  const texts = filesIn(sourcesDir, '.sol')
    .filter(({ name, text }) => contract === partOf(name) && /^(abstract )?contract /m.test(text))
    .map(({ text }) => text);
  const namesBy = (pattern: RegExp) =>
    texts.flatMap((text) => [...text.matchAll(pattern)].map((found) => found[1] as string));
  return {
    functions: namesBy(/function (\w+)\([^)]*\)\s+(?:external|public)/g),
    getters: namesBy(/^ {4}\S+ public (?:\w+ )?(\w+)(?: =.*)?;/gm),
  };
}

function partOf(file: string): string {
  const name = basename(file, '.sol');
  return standingAlone.includes(name) ? name : 'EmethCore';
}

const roots = trees.map(({ root }) => root);

test('every public function of the escrow: it has a tree', () => {
  const { functions, getters } = offeredBy('EmethCore');
  const views: string[] =
    readFileSync(join(treesDir, 'EmethCore', 'views.tree'), 'utf8').match(/(?<=^[├└]── )\w+$/gm) ?? [];
  expect([...functions, ...getters]).toEqual(expect.arrayContaining(['process', 'verify', 'payWorkers', 'paused']));
  expect(
    [...functions, ...getters].filter((name) => !roots.includes(`EmethCore_${name}`) && !views.includes(name)),
  ).toEqual([]);
});

test.each([
  ['NodeRegistry', ['register', 'nodeOf', 'minStake']],
  ['RewardPool', ['claimSlots', 'reward', 'minted']],
  ['EmethToken', ['mint', 'nameRewardPool', 'cap']],
])('every function of the %s: a tree; getters are read by its constructor tests', (name, some) => {
  const { functions, getters } = offeredBy(name);
  expect([...functions, ...getters]).toEqual(expect.arrayContaining(some));
  expect(functions.filter((each) => !roots.includes(`${name}_${each}`))).toEqual([]);
  const ofConstructor = bodyOf(`${name}_constructor_Tree`);
  expect(getters.filter((each) => !ofConstructor.includes(`.${each}()`))).toEqual([]);
});

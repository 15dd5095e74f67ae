import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The trees under test/contracts/trees say what a contract does in which case; forge/unit has one test for each of their leaves.
 *
 * The rule that joins them: a tree's first line is `<Contract>_<function>`, and its tests are in a contract called
 * `<Contract>_<function>_Tree`. A leaf's test is called `test_`, then every line on the way to the leaf, joined by `_`; a line is
 * written in PascalCase, a name like `EmethCore_WrongState` counts as `WrongState`, and whatever is no letter or digit is left out.
 * Functions that only look something up share the tree `EmethCore_views`, as its first branches.
 *
 *     EmethCore_process
 *     └── when the job is not requested
 *         └── it reverts with EmethCore_WrongState      test_WhenTheJobIsNotRequested_ItRevertsWithWrongState
 *
 * Contracts whose names do not end in `_Tree` (fuzzed properties, old defects) are free of it.
 */
const treesDir = join(__dirname, 'trees');
const unitDir = join(__dirname, 'forge', 'unit');
const sourcesDir = join(__dirname, '..', '..', 'src', 'contracts');

/** The sources that make up the escrow; every one of its functions has a tree. */
const escrowSources = ['EmethCore', 'Verdicts', 'Payroll', 'JobBook', 'SlotBook', 'CreditBook', 'Governed'];

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

/** Names of the tests that a tree asks for. */
function leavesOf(tree: string): { root: string; tests: string[] } {
  const [root = '', ...lines] = tree.trimEnd().split('\n');
  const nodes = lines.map((line) => {
    const found = /^((?:│ {3}| {4})*)[├└]── (\S.*)$/.exec(line);
    if (!found) throw new Error(`This is no line of a tree: ${line}`);
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

/** Per contract the tests that forge would run. */
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

test('every contract of tests grows from a tree', () => {
  expect([...contracts.keys()].sort()).toEqual(trees.map(({ root }) => `${root}_Tree`).sort());
});

test('every function that the escrow offers has a tree', () => {
  const offered = escrowSources.flatMap((name) => {
    const source = readFileSync(join(sourcesDir, `${name}.sol`), 'utf8');
    const functions = [...source.matchAll(/function (\w+)\([^)]*\)\s+(?:external|public)/g)];
    const getters = [...source.matchAll(/^ {4}\S+ public (?:\w+ )?(\w+)(?: =.*)?;/gm)];
    return [...functions, ...getters].map((found) => found[1]);
  });
  const roots = trees.map(({ root }) => root);
  const views: string[] =
    readFileSync(join(treesDir, 'EmethCore', 'views.tree'), 'utf8').match(/(?<=^[├└]── )\w+$/gm) ?? [];
  expect(offered).toContain('process');
  expect(offered.filter((name = '') => !roots.includes(`EmethCore_${name}`) && !views.includes(name))).toEqual([]);
});

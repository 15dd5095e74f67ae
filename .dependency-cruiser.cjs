/**
 * The layers of src/: each imports only what stands to its left.
 *
 *     lib ← domain ← protocol, config ← store chain blobs link runner http terminal ← fleet replay
 *         ← master worker verifier board admin storage demo ← app ← commands ← cli
 *
 * Rooms of one layer never import each other. What a room needs of another it declares as its own `deps` type. Types
 * count like values, except for features: they may name the types of the adapters they are given.
 */
const { readdirSync } = require('node:fs');
const { join } = require('node:path');

const lower = ['lib', 'domain'];
const contracts = ['protocol', 'config'];
const adapters = ['store', 'chain', 'blobs', 'link', 'runner', 'http', 'terminal'];
/** Rooms that hold no layer of their own: Solidity. */
const others = ['contracts'];
const foldersOf = (path) =>
  readdirSync(join(__dirname, path), { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? entry.name : [],
  );
/** What features share besides the adapters. */
const shared = ['fleet', 'replay'];
/** Every other folder of src is a feature; a new one needs no entry here. */
const known = [...lower, ...contracts, ...adapters, ...others, ...shared, 'app', 'commands'];
const features = foldersOf('src').filter((room) => !known.includes(room));
/** Folders of commands, by noun. None imports another. */
const commandGroups = foldersOf('src/commands');
/** Folders of `chain`, each with those it may import. The generated ABIs are for all. */
const chainGroups = {
  contract: [],
  rpc: ['contract'],
  reading: ['contract', 'rpc'],
  sending: ['contract', 'rpc'],
  deploy: ['contract', 'rpc', 'sending'],
  acts: ['contract', 'rpc', 'sending'],
};

const layer = (room, allowed) => ({
  name: `layer-${room}`,
  comment: `src/${room} may import only: itself, ${allowed.join(', ') || 'nothing of ours'}`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: `^src/(${[room, ...allowed].join('|')})/` },
});

/** The named packages only in the named rooms or files; scripts and tests are free. */
const only = (name, packages, rooms) => ({
  name,
  comment: `${packages} belongs to ${rooms}`,
  severity: 'error',
  from: { path: '^src/', pathNot: `^src/(${rooms})` },
  to: { path: packages },
});
/** A folder inside a room, and the folders beside it that it may import. */
const group = (room, name, allowed) => ({
  name: `group-${room}-${name}`,
  comment: `src/${room}/${name} may import of src/${room} only: itself${allowed.map((other) => `, ${other}`).join('')}`,
  severity: 'error',
  from: { path: `^src/${room}/${name}/` },
  to: { path: `^src/${room}/`, pathNot: `^src/${room}/(${[name, ...allowed].join('|')})/` },
});
const npm = (names) => `(^|/)node_modules/(${names})/`;

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-to-tests', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|scripts)/' } },
    { name: 'cli-is-the-top', severity: 'error', from: { path: '^src/.+/' }, to: { path: '^src/cli\\.ts$' } },
    {
      name: 'not-to-dev-dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'type-only'], pathNot: '/@types/' },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true, pathNot: '/generated/' } },
    layer('lib', []),
    layer('domain', ['lib']),
    ...contracts.map((room) => layer(room, lower)),
    ...adapters.map((room) => layer(room, [...lower, ...contracts])),
    ...shared.map((room) => layer(room, [...lower, ...contracts, ...adapters])),
    ...features.map((room) => layer(room, [...lower, ...contracts, ...adapters, ...shared])),
    layer('app', [...lower, ...contracts, ...adapters, ...shared, ...features]),
    ...commandGroups.map((name) => group('commands', name, [])),
    ...Object.entries(chainGroups).map(([name, allowed]) => group('chain', name, [...allowed, 'generated'])),
    only('ethers-in-chain', npm('ethers|@openzeppelin/merkle-tree'), 'chain/'),
    only('s3-in-bucket', npm('@aws-sdk'), 'blobs/bucket\\.ts$'),
    only('ws-in-link', npm('ws'), 'link/'),
    only('sql-in-store', npm('kysely|better-sqlite3|mysql2'), 'store/'),
    only('processes-in-runner', '^(node:)?child_process$', 'runner/'),
    only(
      'express-in-routes',
      npm('express|helmet|express-rate-limit'),
      `http/|(${features.join('|')})/[a-z-]*routes\\.ts$`,
    ),
    only('json-rpc-in-admin', npm('jayson'), 'admin/'),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'require', 'types', 'default'] },
  },
};

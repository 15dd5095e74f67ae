'use strict';
/** Everything between a bare clone and a running system. Each step is skipped while its inputs are unchanged. */
const fs = require('node:fs');
const path = require('node:path');
const { preparePython } = require('./python-env.cjs');
const { once, root, runQuietly, StepError } = require('./steps.cjs');

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const bin = (name) => path.join(root, 'node_modules', '.bin', name);

/** Installs packages, builds, and prepares Python. `forTests` adds what only tests and tools need. */
async function setup({ forTests }) {
  checkNode();
  await installPackages();
  await build();
  if (forTests) await installLlama();
  await preparePython(forTests ? ['requirements.txt', 'requirements-dev.txt'] : ['requirements.txt']);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new StepError(`Node ${process.versions.node} is too old; install Node 20.19 or newer.`);
}

async function installPackages() {
  const output = 'node_modules/.package-lock.json';
  const facts = [process.versions.modules, process.platform, process.arch];
  await once('npm packages', { files: ['package-lock.json'], facts, output }, async () => {
    const isFresh = !fs.existsSync(path.join(root, output));
    // Neither rewrites the lock file, whatever the registry of this machine offers.
    const how = isFresh ? ['ci'] : ['install', '--no-save'];
    const args = [...how, '--no-audit', '--no-fund', '--loglevel=http'];
    const remedy =
      'Some packages compile C++: they need gcc, make and python3 (Debian: apt-get install build-essential python3).';
    await runQuietly('npm packages', npm, args, { remedy });
  });
}

/** What reads GGUF files in tests; for Linux on x64 alone, elsewhere nothing is installed and those tests are skipped. */
async function installLlama() {
  const dir = 'test/llama-cpp';
  const facts = [process.platform, process.arch];
  await once('llama.cpp', { files: [`${dir}/package-lock.json`], facts, output: `${dir}/package.json` }, () =>
    runQuietly('llama.cpp', npm, ['ci', '--prefix', dir, '--ignore-scripts', '--no-audit', '--no-fund']),
  );
}

/** Contracts to typed ABIs, then TypeScript to dist/. */
async function build() {
  const contracts = ['src/contracts', 'scripts/build-contracts.ts', 'package-lock.json'];
  await once('contracts', { files: contracts, output: 'src/chain/generated' }, () =>
    runQuietly('contracts', process.execPath, [bin('ts-node'), '--swc', 'scripts/build-contracts.ts']),
  );
  const sources = ['src', 'src/chain/generated', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  await once('build', { files: sources, output: 'dist/cli.js' }, async () => {
    // Compiled beside and moved at the end: a failed build leaves the old one, a new one no stale files.
    const fresh = path.join(root, 'build');
    fs.rmSync(fresh, { recursive: true, force: true });
    await runQuietly('build', process.execPath, [bin('tsc'), '-p', 'tsconfig.build.json', '--outDir', 'build']);
    fs.rmSync(path.join(root, 'dist'), { recursive: true, force: true });
    fs.renameSync(fresh, path.join(root, 'dist'));
  });
}

module.exports = { bin, build, setup };

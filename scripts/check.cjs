'use strict';
/**
 * Everything that must hold before a change lands: style, types, layers, unused code, and all tests. The quick check
 * leaves out what starts databases, chains and Python.
 */
const fs = require('node:fs');
const path = require('node:path');
const { pythonPath } = require('./python-env.cjs');
const { bin } = require('./setup.cjs');
const { root, runLoudly } = require('./steps.cjs');

const jestReport = path.join(root, '.cache', 'check', 'jest.json');
const pytestReport = path.join(root, '.cache', 'check', 'pytest.xml');
const countsFile = path.join(root, '.cache', 'check', 'counts');

const node = (name, ...args) => ({ name, command: process.execPath, args: [bin(name), ...args] });
const python = (name, ...args) => ({ name, command: pythonPath(), args: ['-m', name, ...args] });

const jest = (...args) => ({ ...node('jest', '--json', `--outputFile=${jestReport}`, ...args), count: countJest });

const linters = [
  node('biome', 'check', '--error-on-warnings'),
  node('tsc', '--noEmit', '-p', '.'),
  node('depcruise', 'src'),
];
const quickSteps = [...linters, python('ruff', 'check', 'python'), jest('--selectProjects', 'unit')];
const allSteps = [
  ...linters,
  node('knip'),
  jest(),
  python('ruff', 'check', 'python'),
  python('mypy', '--config-file', 'python/pyproject.toml', 'python/emeth'),
  {
    ...python('pytest', '-q', `--junitxml=${pytestReport}`, 'python/tests'),
    env: { PYTHONPATH: path.join(root, 'python') },
    count: countPytest,
  },
];

/** Runs the steps, also after one has failed, until Ctrl-C or SIGTERM. Resolves with the exit status. */
async function check({ isQuick = false } = {}) {
  fs.rmSync(path.dirname(countsFile), { recursive: true, force: true });
  fs.mkdirSync(path.dirname(countsFile), { recursive: true });
  const results = [];
  let isStopped = false;
  const stop = () => {
    isStopped = true;
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  for (const step of isQuick ? quickSteps : allSteps) {
    results.push(await runStep(step));
    // The signal has ended the step's process, and reached this one.
    if (isStopped) return 130;
  }
  const passed = sum(results.map((result) => result.passed));
  const failed = sum(results.map((result) => result.failed));
  process.stdout.write(`\n${results.map(describe).join('\n')}\n${passed} passed, ${failed} failed\n`);
  fs.writeFileSync(countsFile, `${passed} passed, ${failed} failed\n`);
  return failed === 0 && results.every((result) => result.isOk) ? 0 : 1;
}

async function runStep({ name, command, args, env, count }) {
  process.stdout.write(`\n── ${name} ${'─'.repeat(Math.max(0, 70 - name.length))}\n`);
  const startedMs = Date.now();
  const isOk = (await runLoudly(command, args, env)) === 0;
  const counts = count?.() ?? { passed: 0, failed: 0 };
  // A tool that fails, or a test run that dies before it can count, counts as one failure.
  const failed = isOk ? counts.failed : Math.max(1, counts.failed);
  return { name, isOk, seconds: (Date.now() - startedMs) / 1000, passed: counts.passed, failed };
}

function countJest() {
  if (!fs.existsSync(jestReport)) return undefined;
  const report = JSON.parse(fs.readFileSync(jestReport, 'utf8'));
  return { passed: report.numPassedTests, failed: report.numFailedTests + report.numRuntimeErrorTestSuites };
}

function countPytest() {
  if (!fs.existsSync(pytestReport)) return undefined;
  const suite = /<testsuite [^>]*>/.exec(fs.readFileSync(pytestReport, 'utf8'))?.[0] ?? '';
  const number = (key) => Number(new RegExp(`\\b${key}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = number('failures') + number('errors');
  return { passed: number('tests') - failed - number('skipped'), failed };
}

function describe({ name, isOk, seconds, passed, failed }) {
  const counts = passed + failed > 0 && passed > 0 ? `  ${passed} passed, ${failed} failed` : '';
  return `${isOk ? '✓' : '✗'} ${name.padEnd(12)} ${seconds.toFixed(1).padStart(6)} s${counts}`;
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

module.exports = { check };

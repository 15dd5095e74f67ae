'use strict';
/** `npm run <task>` for tasks that must work on a bare clone: sets up what is missing, then runs the task. */
const fs = require('node:fs');
const path = require('node:path');
const { pythonPath } = require('./python-env.cjs');
const { bin, build, setup } = require('./setup.cjs');
const { root, runLoudly, StepError } = require('./steps.cjs');

const tasks = {
  setup: async () => {
    await setup({ forTests: false });
    return 0;
  },
  build: async () => {
    await build();
    return 0;
  },
  demo: async (args) => {
    await setup({ forTests: false });
    const env = { EMETH_PYTHON: pythonPath() };
    return runLoudly(process.execPath, [path.join(root, 'dist', 'cli.js'), 'demo', ...args], env);
  },
  check: async () => {
    await setup({ forTests: true });
    return require('./check.cjs').check();
  },
  'check:quick': async () => {
    await setup({ forTests: true });
    return require('./check.cjs').check({ isQuick: true });
  },
  test: async () => {
    await setup({ forTests: true });
    const status = await prepareServers();
    return status === 0 ? require('./check.cjs').check() : status;
  },
};

/** Finds or installs the server programs that tests start: MariaDB or MySQL, and nginx. */
function prepareServers() {
  const script = path.join(root, 'scripts', 'test-servers.ts');
  return fs.existsSync(script) ? runLoudly(process.execPath, [bin('ts-node'), '--swc', script]) : 0;
}

async function main([name = '', ...args]) {
  const task = tasks[name];
  if (!task) throw new StepError(`Unknown task ${name}; there are ${Object.keys(tasks).join(', ')}.`);
  return task(args);
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    process.stderr.write(`${error instanceof StepError ? error.message : error.stack}\n`);
    process.exitCode = 1;
  },
);

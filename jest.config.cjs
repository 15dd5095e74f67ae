const { existsSync } = require('node:fs');
const { join } = require('node:path');

/** One project per kind of test: `npx jest --selectProjects unit`, or simply `npx jest test/unit/store`. */
const project = (name) => ({
  displayName: name,
  testEnvironment: 'node',
  roots: [`<rootDir>/test/${name}`],
  testMatch: ['**/*.test.ts'],
  // Lazy imports name the compiled file; here they mean its source.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1', '$1.js'] },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript', explicitResourceManagement: true } },
        module: { type: 'commonjs' },
        sourceMaps: 'inline',
      },
    ],
  },
});

const sharedPython = { globalSetup: '<rootDir>/test/support/shared-python.ts' };

module.exports = {
  projects: [
    project('unit'),
    { ...project('integration'), ...sharedPython },
    project('contracts'),
    { ...project('e2e'), ...sharedPython, setupFilesAfterEnv: ['<rootDir>/test/support/long-tests.ts'] },
  ].filter(({ displayName }) => existsSync(join(__dirname, 'test', displayName))),
  // A limit of one project alone is not heeded; whole runs of the system raise it for themselves.
  testTimeout: 60_000,
  testSequencer: join(__dirname, 'scripts', 'long-tests-first.cjs'),
  // Most of them wait for a process or a chain of theirs more than they compute.
  maxWorkers: 3,
};

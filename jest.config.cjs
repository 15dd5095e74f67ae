/** One project per kind of test: `npx jest --selectProjects unit`, or simply `npx jest test/unit/store`. */
const project = (name, folder, testTimeout) => ({
  displayName: name,
  testEnvironment: 'node',
  roots: [`<rootDir>/test/${folder}`],
  testMatch: ['**/*.test.ts'],
  testTimeout,
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

module.exports = {
  projects: [
    project('unit', 'unit', 20_000),
    project('integration', 'integration', 60_000),
    project('contracts', 'contracts', 60_000),
    project('e2e', 'e2e', 600_000),
  ],
  maxWorkers: 2,
};

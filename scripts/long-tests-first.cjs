'use strict';
/**
 * Jest's order, with the longest tests first: started last, they would run alone. End-to-end tests mostly wait and
 * contract tests mostly compute, so the two alternate.
 */
const Sequencer = require('@jest/test-sequencer').default;

module.exports = class extends Sequencer {
  sort(tests) {
    const sorted = [...super.sort(tests)];
    const of = (project) => sorted.filter((test) => test.context.config.displayName.name === project);
    const [systems, contracts] = [of('e2e'), of('contracts')];
    const turns = Array.from({ length: Math.max(systems.length, contracts.length) }, (_, i) => [
      systems[i],
      contracts[i],
    ]);
    const long = turns.flat().filter((test) => test !== undefined);
    return [...long, ...sorted.filter((test) => !long.includes(test))];
  }
};

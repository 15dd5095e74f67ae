'use strict';
/**
 * Jest's order, but for what takes longest: last of all it would run alone. Whole systems mostly wait and contracts mostly compute, so
 * they take turns.
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

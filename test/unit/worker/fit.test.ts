/** Which Python libraries a job needs of its worker, by its program. */
import { requireLibraries } from '../../../src/worker/fit';
import { plannedParams } from '../../support/planned-params';
import { openJob } from '../../support/worker-messages';

const base = { base: `sha256:${'1a'.repeat(32)}`, epochs: 1, batch: 4 };
const programs: Record<string, object> = {
  gpt2: { epochs: 1, batch: 4 },
  llama: { epochs: 1, batch: 4, model: { family: 'llama' } },
  full: { ...base, tune: 'full' },
  lora: { ...base, tune: 'lora' },
};

test.each([
  ['gpt2', []],
  ['llama', ['transformers']],
  ['full', ['transformers']],
  ['lora', ['transformers', 'peft']],
])('program %s: needs %p, and says which is lacking', (program, needed) => {
  const job = { ...openJob(), params: plannedParams(programs[program] ?? {}) };
  expect(() => requireLibraries(job, [])).not.toThrow();
  const missed = ['transformers', 'peft'].filter((library) => {
    try {
      requireLibraries(job, [library]);
      return false;
    } catch (error) {
      expect(error).toMatchObject({ detail: { code: 'worker/no-library', library } });
      return true;
    }
  });
  expect(missed).toEqual(needed);
});

/** Presets are parameters that every master takes. */
import { countParameters } from '../../../src/domain/model-size';
import { presetNames, presets } from '../../../src/domain/presets';
import { JobParams } from '../../../src/protocol/job-params';

test.each(presetNames)('preset %s: valid as it is written, once its base is named', (name) => {
  const { needsBase, params } = presets[name];
  const parsed = JobParams.parse(needsBase ? { ...params, base: 'hf:org/model' } : params);
  expect(parsed).toMatchObject(params);
  expect(parsed.tune === 'none').toBe(!needsBase);
});

test.each(presetNames.filter((name) => presets[name].needsBase))('preset %s without a base: no job', (name) => {
  expect(JobParams.safeParse(presets[name].params).success).toBe(false);
});

test.each(['small-gpt2', 'small-llama'] as const)('preset %s: as large as it says', (name) => {
  const { about, params } = presets[name];
  const millions = countParameters(params.model, params.tokenizer.vocabSize) / 1e6;
  expect(about).toContain(`some ${Math.round(millions)} million parameters`);
});

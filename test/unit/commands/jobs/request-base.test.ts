/** Whether any device could train what a request makes of its base. */
import { requireDevice } from '../../../../src/commands/jobs/request-base';
import { parseParams } from '../../../../src/commands/jobs/request-plan';
import { sizeOfBase } from '../../../../src/domain/base-size';
import type { TunedParams } from '../../../../src/protocol/job-params';

/** A base of 70 billion numbers in 16 bits. */
const base = {
  parameters: 70e9,
  baseBytes: 140e9,
  layers: 80,
  width: 8192,
  tensors: [{ name: 'model.layers.0.self_attn.q_proj.weight', shape: [8192, 8192] }],
};
const place = { reference: 'hf:org/large', facts: { vocabSize: 128_000 } };

const attempt = (tuning: { tune: 'full' } | { tune: 'lora' }) => {
  const params = parseParams(JSON.stringify({ base: place.reference, ...tuning })).params as TunedParams;
  requireDevice(place, params, sizeOfBase(base, params));
};

test('all weights of 70 billion: refused, with what is needed and what needs less', () => {
  expect(() => attempt({ tune: 'full' })).toThrow(
    /^hf:org\/large needs about 1\.\d TB on a device, .* take a smaller base \(an adapter needs less: --tune lora\)\.$/,
  );
});

test('an adapter for it: fits a device that holds the base', () => {
  expect(() => attempt({ tune: 'lora' })).not.toThrow();
});

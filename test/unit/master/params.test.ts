/** A request's parameters, completed or refused. */
import { resolveParams } from '../../../src/master/params';

const defaults = { batch: 8, epochs: 2 };

describe('resolveParams', () => {
  test('empty object: a whole job', () => {
    const params = resolveParams('{}', defaults);
    expect(params).toMatchObject({ program: 'lm', epochs: 2, batch: 8, codec: 'int8', tokenizer: { type: 'byte' } });
    expect(resolveParams('', defaults)).toEqual(params);
  });

  test('requester names epochs and batch: they win over the defaults', () => {
    expect(resolveParams('{"epochs":0.5,"batch":3}', defaults)).toMatchObject({ epochs: 0.5, batch: 3 });
  });

  test.each([
    ['not JSON', '{"epochs":', /not JSON/],
    ['an unknown key', '{"epoch":1}', /epoch/],
    ['a number out of range', '{"epochs":0}', /epochs/],
    ['a width the heads do not divide', '{"model":{"width":100,"heads":3}}', /multiple of heads/],
    ['an unknown program', '{"program":"vision"}', /program/],
    ['too long', `{"x":"${'x'.repeat(5000)}"}`, /longer than 4096 bytes/],
    ['no object', '[]', /./],
  ])('%s: throws params/invalid', (_name, text, reason) => {
    const attempt = () => resolveParams(text, defaults);
    expect(attempt).toThrow(expect.objectContaining({ code: 'params/invalid' }));
    expect(attempt).toThrow(reason);
  });
});

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
    '{"inner":{"lr":0.02},"outer":{"lr":0.7,"momentum":0.9}}',
    '{"inner":{"lr":0.1},"outer":{"lr":1,"momentum":0.5}}',
    '{"inner":{"lr":0.001},"outer":{"lr":4,"momentum":0.95}}',
  ])('bold but usual rates %s: taken', (text) => {
    expect(resolveParams(text, defaults)).toMatchObject(JSON.parse(text));
  });

  test.each([
    ['not JSON', '{"epochs":', /not JSON/],
    ['an unknown key', '{"epoch":1}', /epoch/],
    ['a number out of range', '{"epochs":0}', /epochs/],
    ['a width the heads do not divide', '{"model":{"width":100,"heads":3}}', /multiple of heads/],
    ['an unknown program', '{"program":"vision"}', /program/],
    [
      'rates that no training survives',
      '{"inner":{"lr":1},"outer":{"lr":4,"momentum":0.999}}',
      /is 4000, and above 0.5/,
    ],
    ['too long', `{"x":"${'x'.repeat(5000)}"}`, /longer than 4096 bytes/],
    ['no object', '[]', /./],
  ])('%s: throws params/invalid', (_name, text, reason) => {
    const attempt = () => resolveParams(text, defaults);
    expect(attempt).toThrow(expect.objectContaining({ code: 'params/invalid' }));
    expect(attempt).toThrow(reason);
  });
});

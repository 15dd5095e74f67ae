/** A request's parameters, completed or refused. */
import { readJobParams, settleJobParams } from '../../../src/master/params';

const defaults = { batch: 8, epochs: 2 };

describe('readJobParams', () => {
  test('empty object: a whole job', () => {
    const params = readJobParams('{}', defaults);
    expect(params).toMatchObject({ program: 'lm', epochs: 2, batch: 8, codec: 'auto', tokenizer: { type: 'byte' } });
    expect(readJobParams('', defaults)).toEqual(params);
  });

  test('requester names epochs and batch: they win over the defaults', () => {
    expect(readJobParams('{"epochs":0.5,"batch":3}', defaults)).toMatchObject({ epochs: 0.5, batch: 3 });
  });

  test.each([
    '{"inner":{"lr":0.02},"outer":{"lr":0.7,"momentum":0.9}}',
    '{"inner":{"lr":0.1},"outer":{"lr":1,"momentum":0.5}}',
    '{"inner":{"lr":0.001},"outer":{"lr":4,"momentum":0.95}}',
  ])('bold but usual rates %s: taken', (text) => {
    expect(readJobParams(text, defaults)).toMatchObject(JSON.parse(text));
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
    const attempt = () => readJobParams(text, defaults);
    expect(attempt).toThrow(expect.objectContaining({ code: 'params/invalid' }));
    expect(attempt).toThrow(reason);
  });
});

test('rate that no usual outer step goes with: throws params/invalid once settled', () => {
  const facts = { trainable: 1000, blocks: 100, workers: 1, autoCodec: 'int8' } as const;
  const settle = (lr: number) => settleJobParams(readJobParams(JSON.stringify({ inner: { lr } }), defaults), facts);
  expect(settle(0.2)).toMatchObject({ inner: { lr: 0.2 }, outer: { lr: 1, momentum: 0.5 } });
  expect(() => settle(0.3)).toThrow(expect.objectContaining({ code: 'params/invalid' }));
  expect(() => settle(0.3)).toThrow(/is 0\.6, and above 0\.5/);
});

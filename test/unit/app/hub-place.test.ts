/** Which hub a role asks, and with which token: its configuration decides, then the hub's own variables. */
import { writeFileSync } from 'node:fs';
import { hubOf } from '../../../src/app/hub-place';
import { openScratch } from '../../support/scratch';

const env = { HF_ENDPOINT: 'http://mirror.example ', HF_TOKEN: ' hf_env ' };

test.each([
  ['nothing', {}, {}, 'https://huggingface.co'],
  ['a variable', {}, env, 'http://mirror.example'],
  ['an empty variable', {}, { HF_ENDPOINT: ' ' }, 'https://huggingface.co'],
  ['a setting and a variable', { endpoint: 'https://own.example' }, env, 'https://own.example'],
])('endpoint by %s: known', (_what, hub, variables, endpoint) => {
  expect(hubOf({ hub }, variables).endpoint).toBe(endpoint);
});

test.each(['mirror.example', 'ftp://mirror.example'])('HF_ENDPOINT %s: config/bad-hub', (HF_ENDPOINT) => {
  expect(() => hubOf({ hub: {} }, { HF_ENDPOINT })).toThrow(
    expect.objectContaining({ detail: { code: 'config/bad-hub', variable: 'HF_ENDPOINT' } }),
  );
});

describe('token', () => {
  /** The token of a role whose file has this text and mode. */
  async function tokenOf(text: string, mode = 0o600) {
    await using scratch = await openScratch();
    const tokenFile = scratch.file('token');
    writeFileSync(tokenFile, text, { mode });
    return hubOf({ hub: { tokenFile } }, env).token;
  }

  test('no file: that of the environment', () => {
    expect(hubOf({ hub: {} }, env).token).toBe('hf_env');
    expect(hubOf({ hub: {} }, {}).token).toBeUndefined();
  });

  test('file: goes before the environment', async () => {
    expect(await tokenOf('hf_file\n')).toBe('hf_file');
  });

  test('file without a token: config/bad-hub', async () => {
    await expect(tokenOf('\n')).rejects.toMatchObject({
      detail: { code: 'config/bad-hub', variable: 'hub.tokenFile' },
    });
  });

  test('file that others can read: config/exposed-secret', async () => {
    await expect(tokenOf('hf_file', 0o644)).rejects.toMatchObject({ code: 'config/exposed-secret' });
  });
});

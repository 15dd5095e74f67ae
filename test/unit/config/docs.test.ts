/** Pages and examples made from the settings are up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listenAddress, storageAddresses } from '../../../src/config/derived';
import { loadConfig } from '../../../src/config/load';
import { renderReference } from '../../../src/config/reference';
import { roleSchemas } from '../../../src/config/schema';
import { exampleValues, renderConfig } from '../../../src/config/template';
import { openScratch } from '../../support/scratch';

const root = join(__dirname, '..', '..', '..');
const roles = ['master', 'worker', 'verifier', 'client', 'board', 'storage'] as const;

describe('what is generated from the schema', () => {
  test('docs/configuration.md: equals what npm run docs writes', () => {
    expect(readFileSync(join(root, 'docs', 'configuration.md'), 'utf8')).toBe(renderReference());
  });

  test.each(roles)('config/%s.example.json: equals what npm run docs writes', (role) => {
    const text = readFileSync(join(root, 'config', `${role}.example.json`), 'utf8');
    expect(text).toBe(renderConfig(role, exampleValues(role)));
  });

  test.each(roles)('config/%s.example.json: loads', (role) => {
    const path = join(root, 'config', `${role}.example.json`);
    expect(() => loadConfig(role, { path, isRequired: true, env: {} })).not.toThrow();
  });

  test.each([
    ['worker', 'team'],
    ['worker', 'limits'],
  ] as const)('config/%s.example.json with its %s no longer a comment: loads', async (role, group) => {
    await using scratch = await openScratch();
    const text = readFileSync(join(root, 'config', `${role}.example.json`), 'utf8');
    const commented = new RegExp(`^ {2}// "${group}": \\{[^]*?^ {2}// \\},`, 'm');
    const path = scratch.file(`${role}.json`);
    writeFileSync(
      path,
      text.replace(commented, (block) => block.replace(/^ {2}\/\//gm, '')),
    );
    expect(loadConfig(role, { path, isRequired: true, env: {} })).toHaveProperty(group);
  });

  test.each(roles)('%s: every setting is explained', (role) => {
    expect(roleSchemas[role]).toBeDefined();
    const rows = renderReference()
      .split('\n')
      .filter((row) => row.startsWith('| `'));
    for (const row of rows) expect(row.split(' | ')[3]).toMatch(/\S.*\.$/);
  });
});

describe('listenAddress', () => {
  test.each([
    ['http://127.0.0.1:3000', {}, { host: '127.0.0.1', port: 3000 }],
    ['http://localhost', {}, { host: '127.0.0.1', port: 80 }],
    ['https://master.example.org', {}, { host: '0.0.0.0', port: 443 }],
    ['https://master.example.org', { host: '127.0.0.1', port: 3000 }, { host: '127.0.0.1', port: 3000 }],
    ['http://127.0.0.1:3000', { port: 0 }, { host: '127.0.0.1', port: 0 }],
  ])('my_url %s, listen %j: host and port', (my_url, listen, expected) => {
    expect(listenAddress({ my_url, listen })).toEqual(expected);
  });
});

describe('storageAddresses', () => {
  test("no storageApi: the master's own", () => {
    expect(storageAddresses({ my_url: 'http://127.0.0.1:3000/' })).toEqual(['http://127.0.0.1:3000/api/v1']);
  });
  test('storageApi configured: that one', () => {
    const storageApi = ['https://s.example/api/v1'];
    expect(storageAddresses({ my_url: 'http://a', storageApi })).toEqual(storageApi);
  });
});

/** How a server listens, by its settings and its command line. */
import { chmod, copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { servingOptions } from '../../../src/app/serving';
import { BoardConfig } from '../../../src/config/roles/board';
import { openScratch } from '../../support/scratch';

const fixtures = join(__dirname, '..', '..', 'fixtures', 'tls');
const address = `0x${'0c'.repeat(20)}`;
const settings = { endpoint: 'http://127.0.0.1:1', emethContractAddress: address, tokenContractAddress: address };
const configOf = (listen: object) => BoardConfig.parse({ ...settings, my_url: 'https://board.example', listen });

test('settings alone: all interfaces, the port of my_url, no TLS, not insecure', () => {
  expect(servingOptions(configOf({}), {})).toEqual({
    ...{ host: '0.0.0.0', port: 443, trustProxy: [] },
    ...{ insecure: false, tls: undefined },
  });
});

test('command line: counts more than the settings', () => {
  const options = servingOptions(configOf({ port: 1, insecure: false }), { host: '::', port: 2, insecure: true });
  expect(options).toMatchObject({ host: '::', port: 2, insecure: true });
});

test('certificate and key in files: read; a key that others can read is refused', async () => {
  await using scratch = await openScratch();
  const [certFile, keyFile] = [scratch.file('cert.pem'), scratch.file('key.pem')];
  await copyFile(join(fixtures, 'cert.pem'), certFile);
  await copyFile(join(fixtures, 'key.pem'), keyFile);
  await chmod(keyFile, 0o600);
  const config = configOf({ certFile, keyFile });
  const { tls } = servingOptions(config, {});
  expect(tls).toMatchObject({ cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') });
  await chmod(keyFile, 0o644);
  expect(() => servingOptions(config, {})).toThrow(/chmod 600/);
});

test('certificate or key missing: refused with its path', async () => {
  await using scratch = await openScratch();
  const keyFile = scratch.file('key.pem');
  await copyFile(join(fixtures, 'key.pem'), keyFile);
  await chmod(keyFile, 0o600);
  const config = configOf({ certFile: scratch.file('none.pem'), keyFile });
  expect(() => servingOptions(config, {})).toThrow(`${scratch.file('none.pem')} cannot be read`);
  expect(() => configOf({ certFile: 'cert.pem' })).toThrow(/belong together/);
});

/** Which proxy the environment names for an address. */
import { proxyFor } from '../../../src/lib/proxy';

const both = { HTTPS_PROXY: 'http://secure:3128', http_proxy: 'plain:3128' };

test.each<[string, string | undefined]>([
  ['https://node.example/api', 'http://secure:3128'],
  ['wss://node.example/link', 'http://secure:3128'],
  ['http://node.example', 'http://plain:3128'],
  ['ws://node.example:3000/link', 'http://plain:3128'],
  ['http://127.0.0.1:8545', undefined],
  ['http://127.8.0.1', undefined],
  ['https://localhost', undefined],
  ['https://node.localhost', undefined],
  ['http://[::1]:3000', undefined],
  ['http://[::ffff:127.0.0.1]', undefined],
])('address %s: by way of %s', (address, proxy) => {
  expect(proxyFor(address, both)).toBe(proxy);
});

test('no variables, or empty ones: no proxy', () => {
  expect(proxyFor('https://node.example', {})).toBeUndefined();
  expect(proxyFor('https://node.example', { https_proxy: '', HTTP_PROXY: 'http://plain:3128' })).toBeUndefined();
});

test.each<[string, string, boolean]>([
  ['*', 'https://node.example', true],
  ['node.example', 'https://node.example', true],
  ['node.example', 'https://deep.Node.example', true],
  ['.node.example', 'https://node.example', true],
  ['*.node.example', 'https://deep.node.example', true],
  ['node.example', 'https://mynode.example', false],
  ['other, node.example:443', 'https://node.example', true],
  ['node.example:8443 other', 'https://node.example', false],
  ['node.example:8443', 'https://node.example:8443', true],
  ['10.0.0.0/8', 'https://10.1.2.3', true],
  ['10.0.0.0/8', 'https://11.1.2.3', false],
  ['10.1.2.3', 'https://10.1.2.3:8545', true],
  ['10.1.2.3:8545', 'https://10.1.2.3', false],
  ['0.1.2.3', 'https://10.1.2.3', false],
  ['2001:db8::/32', 'https://[2001:db8::5]', true],
  ['2001:db8::5', 'https://[2001:db8:0::5]:8545', true],
  ['10.0.0.0/8', 'https://[2001:db8::5]', false],
  ['', 'https://node.example', false],
])('NO_PROXY %j, address %s: direct is %s', (list, address, isDirect) => {
  expect(proxyFor(address, { ...both, NO_PROXY: list }) === undefined).toBe(isDirect);
});

test.each(['socks5://proxy:1080', 'http://', 'ftp://me:secret@proxy'])('proxy %s: config/bad-proxy', (proxy) => {
  const find = () => proxyFor('https://node.example', { https_proxy: proxy });
  expect(find).toThrow(/HTTPS_PROXY cannot be used; set it to an http:/);
  expect(find).not.toThrow(/secret/);
});

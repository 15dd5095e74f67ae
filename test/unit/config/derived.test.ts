/** Addresses that follow from others: below a reverse proxy's path, and of the link. */
import { addressBelow, linkAddress } from '../../../src/config/derived';

test.each([
  ['http://127.0.0.1:3000', 'ws://127.0.0.1:3000/link'],
  ['http://127.0.0.1:3000/', 'ws://127.0.0.1:3000/link'],
  ['https://node.example/emeth', 'wss://node.example/emeth/link'],
  ['https://node.example/emeth/', 'wss://node.example/emeth/link'],
  ['https://node.example/a/b//', 'wss://node.example/a/b/link'],
  ['https://user:word@node.example/emeth?key=1', 'wss://user:word@node.example/emeth/link?key=1'],
])('master %s: workers dial %s', (masterUrl, dialled) => {
  expect(linkAddress(masterUrl)).toBe(dialled);
});

test('path of a server below a prefix: the prefix is kept', () => {
  expect(addressBelow('https://node.example/emeth/', 'healthz').href).toBe('https://node.example/emeth/healthz');
});

/** Which addresses a whitelist allows. */
import { ipGuard } from '../../../src/http/ip-guard';

test.each([
  [['127.0.0.1', '::1'], '127.0.0.1', true],
  [['127.0.0.1', '::1'], '::ffff:127.0.0.1', true],
  [['127.0.0.1', '::1'], '::1', true],
  [['127.0.0.1', '::1'], '127.0.0.2', false],
  [['127.0.0.1', '::1'], '10.0.0.1', false],
  [['10.0.0.0/8'], '10.255.0.1', true],
  [['10.0.0.0/8'], '::ffff:10.1.2.3', true],
  [['10.0.0.0/8'], '11.0.0.1', false],
  [['10.1.2.3/8'], '10.9.9.9', true],
  [['2001:db8::/32'], '2001:db8:1::5', true],
  [['2001:db8::/32'], '2001:db9::5', false],
  [['2001:db8::/32'], '10.0.0.1', false],
  [['::ffff:10.0.0.1'], '10.0.0.1', true],
  [['*'], '8.8.8.8', true],
  [[], '127.0.0.1', false],
  [['127.0.0.1'], '', false],
  [['127.0.0.1'], 'localhost', false],
  [['127.0.0.1'], '127.0.0.1, 8.8.8.8', false],
])('whitelist %j, address %j: %s', (entries, ip, isAllowed) => {
  expect(ipGuard(entries)(ip)).toBe(isAllowed);
});

test.each(['localhost', '10.0.0.0/99', '10.0.0.0/', '300.1.1.1', ''])('entry %j: http/bad-ip-entry', (entry) => {
  expect(() => ipGuard([entry])).toThrow(/neither an IP address/);
});

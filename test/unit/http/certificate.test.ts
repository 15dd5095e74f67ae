/** A server's certificate that is renewed while it runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { openHttp } from '../../../src/http/server';
import { silentLogger } from '../../../src/lib/logger';
import { until } from '../../support/until';

const read = (name: string) => readFileSync(join(__dirname, '..', '..', 'fixtures', 'tls', name), 'utf8');
const first = { cert: read('cert.pem'), key: read('key.pem') };
const second = { cert: read('other-cert.pem'), key: read('other-key.pem') };

/** Connects anew, and returns the name in the certificate that is shown. */
function shownName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

test('certificate renewed in steps: the old one until both files fit, then the new one', async () => {
  let files = first;
  let looks = 0;
  const renew = () => {
    looks += 1;
    return files;
  };
  const place = { host: '127.0.0.1', port: 0, tls: { ...first, renew }, renewMs: 5 };
  await using http = await openHttp(place, () => undefined, { logger: silentLogger });
  expect(await shownName(http.port)).toBe('localhost');
  files = { ...first, cert: second.cert };
  const before = looks;
  await until(async () => looks > before + 1);
  expect(await shownName(http.port)).toBe('localhost');
  files = second;
  await until(async () => (await shownName(http.port)) === 'other.example');
});

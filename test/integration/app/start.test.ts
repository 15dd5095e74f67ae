/** A real master that starts while its chain is away, or answers only half of what it is asked. */
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAdminClient } from '../../../src/admin/client';
import { makeParties } from '../../../src/demo/parties';
import { fetchJson } from '../../../src/http/fetch-json';
import { freePort } from '../../../src/lib/free-port';
import { ReadyAnswer } from '../../../src/protocol/readiness';
import { startAnvil } from '../../../src/runner/anvil';
import { startRole } from '../../../src/runner/cli-process';
import { openChaosProxy } from '../../support/chaos-proxy';
import { builtCli, runInProcess } from '../../support/cli';
import { openHeldNode } from '../../support/held-node';
import { openScratch } from '../../support/scratch';
import { testPython } from '../../support/tiny-job';
import { until } from '../../support/until';

test('chain away, then with a call unanswered: the master waits, works and says so', async () => {
  builtCli();
  await using scratch = await openScratch();
  await using anvil = await startAnvil();
  await using node = await openHeldNode(anvil.url);
  await using proxy = await openChaosProxy(Number(new URL(node.url).port));
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  const masterPort = await freePort();
  const settings = { node: { python: testPython } };
  const parties = await makeParties({ dir: scratch.path, endpoint, masterPort, workers: 0, threads: 1, settings });
  const place = ['--config', parties.node.configPath, '--data-dir', parties.node.dataDir];
  const log = join(scratch.path, 'master.log');
  const left = join(parties.node.dataDir, 'apart', 'a-killed-job');
  await mkdir(left, { recursive: true });
  proxy.refuse(true);
  proxy.cut();
  await using master = startRole('master', ['master', ...place], log);
  await until(async () => (await readFile(log, 'utf8')).includes('The chain cannot be reached; waiting for it'));

  // The first call of a contract asks whether the account is registered. It gets no answer at all.
  const held = node.holdAt({ method: 'eth_call', nth: 1, isForwarded: false });
  proxy.refuse(false);
  await held;
  const ask = () => fetchJson(`${parties.masterUrl}/readyz`, { maxBytes: 10_000 });
  const isRead = ({ body }: { body: unknown }) =>
    ReadyAnswer.parse(body).checks.every(({ name, ok }) => name === 'disk' || ok);
  await until(async () => isRead(await ask()));

  const { checks } = await openAdminClient(parties.masterUrl).status();
  expect(checks.map(({ name }) => name)).toEqual(['store', 'chain', 'disk', 'jobs']);
  expect(existsSync(left)).toBe(false);
  const doctor = JSON.parse((await runInProcess('doctor', '--json', ...place)).out) as object[];
  expect(doctor).toContainEqual(expect.objectContaining({ name: 'its store', status: 'ok', value: 'can be written' }));
  expect(master.isRunning()).toBe(true);
});

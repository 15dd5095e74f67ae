/** `emeth db-init`, and the queue commands that read the database it makes. */
import { writeFile } from 'node:fs/promises';
import { storeOptions } from '../../../../src/app/role-settings';
import { Address, JobId } from '../../../../src/domain/ids';
import { openStore } from '../../../../src/store/open';
import { builtCli, runInProcess } from '../../../support/cli';
import { requestJob } from '../../../support/request-job';
import { openScratch } from '../../../support/scratch';
import { openTerminal } from '../../../support/terminal';

const config = {
  endpoint: 'http://127.0.0.1:8545',
  emethContractAddress: '0xe7f1725e7734ce288f8367e1bb143e90bb3f0512',
  tokenContractAddress: '0x5fbdb2315678afecb367f032d93f642f64180aa3',
  my_url: 'http://127.0.0.1:1',
  privateKeyFile: 'master.key',
};
const jobId = JobId.parse(`0x${'ab'.repeat(16)}`);

/** A master's directory whose queue holds one job. */
async function openQueueDir() {
  const scratch = await openScratch();
  await writeFile(scratch.file('master.json'), JSON.stringify(config));
  await using store = await openStore(storeOptions({}, scratch.file('data')));
  await requestJob(store, {
    id: jobId,
    requester: Address.parse(`0x${'11'.repeat(20)}`),
    dataset: 'sha256:x',
    params: '{}',
    feeWei: 20n * 10n ** 18n,
    fuelLimit: 1000n,
    deadlineMs: Date.now() + 3_600_000,
    requestedBlock: 1,
  });
  const args = ['--config', scratch.file('master.json'), '--data-dir', scratch.file('data')];
  return { ...scratch, args, [Symbol.asyncDispose]: scratch[Symbol.asyncDispose] };
}

async function countJobs(dataDir: string): Promise<number> {
  await using store = await openStore(storeOptions({}, dataDir));
  return (await store.jobs.list({})).length;
}

describe('db-init', () => {
  test('no queue yet: makes the tables without asking', async () => {
    await using scratch = await openScratch();
    await writeFile(scratch.file('master.json'), JSON.stringify(config));
    const args = ['--config', scratch.file('master.json'), '--data-dir', scratch.file('data')];
    expect(await runInProcess('db-init', ...args)).toMatchObject({
      status: 0,
      out: expect.stringContaining('are ready'),
    });
  });

  test('no terminal: throws usage/needs-yes and drops nothing', async () => {
    await using dir = await openQueueDir();
    const { status, talk } = await runInProcess('db-init', ...dir.args);
    expect(status).toBe(2);
    expect(talk).toContain('add --yes');
    expect(await countJobs(dir.file('data'))).toBe(1);
  });

  test('--yes: drops without asking', async () => {
    await using dir = await openQueueDir();
    const { status, out } = await runInProcess('db-init', ...dir.args, '--yes', '--json');
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ dropped: 1 });
    expect(await countJobs(dir.file('data'))).toBe(0);
  });

  test.each([
    ['drop\r', 0, /Dropped 1 jobs/, 0],
    ['yes\r', 2, /Nothing was dropped/, 1],
  ])('person at a terminal types %j: obeyed', async (keys, status, shown, left) => {
    await using dir = await openQueueDir();
    await using terminal = openTerminal(process.execPath, [builtCli(), 'db-init', ...dir.args], { cwd: dir.path });
    await terminal.waitFor(/holds 1 jobs[\s\S]*Type "drop"/);
    terminal.type(keys);
    await terminal.waitFor(shown);
    expect(await terminal.exited).toBe(status);
    expect(await countJobs(dir.file('data'))).toBe(left);
  });
});

describe('joblist and job', () => {
  test('master does not run: read its database', async () => {
    await using dir = await openQueueDir();
    const list = await runInProcess('joblist', ...dir.args, '--json');
    expect(JSON.parse(list.out)).toMatchObject([{ jobId, state: 'queued', feeWei: '20000000000000000000' }]);
    const table = await runInProcess('joblist', ...dir.args);
    expect(table.out).toContain('20 EMT');
    const job = await runInProcess('job', jobId, ...dir.args);
    expect(job.out).toMatch(/state +queued/);
  });

  test('unknown job: throws job/not-found', async () => {
    await using dir = await openQueueDir();
    expect(await runInProcess('job', `0x${'cd'.repeat(16)}`, ...dir.args)).toMatchObject({ status: 3, out: '' });
  });

  test('no job in the state: []', async () => {
    await using dir = await openQueueDir();
    const { out } = await runInProcess('joblist', ...dir.args, '--json', '--state', 'verified');
    expect(JSON.parse(out)).toEqual([]);
  });
});

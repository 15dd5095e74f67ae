/** Commands of one account on a real chain: what moves, and what is refused. */
import { readFile, writeFile } from 'node:fs/promises';
import { JobId } from '../../../src/domain/ids';
import { runInProcess } from '../../support/cli';
import { type ClientChain, openClientChain, sampleDataset } from '../../support/client-chain';

const EMT = 10n ** 18n;
let client: ClientChain;
const run: ClientChain['run'] = (...argv) => client.run(...argv);
const runFailing: ClientChain['runFailing'] = (...argv) => client.runFailing(...argv);

beforeAll(async () => {
  client = await openClientChain();
});

afterAll(() => client[Symbol.asyncDispose]());

const request = ['request', '--dataset', sampleDataset, '--fee', '20emt', '--fuel-limit', '1000'];

describe('account commands on a real chain', () => {
  test('request, cancel, withdraw: the fee comes back to the last wei', async () => {
    const before = await run('node');
    const quote = await run<Record<string, unknown>>(...request, '--dry-run');
    expect(quote).toMatchObject({ feeWei: String(20n * EMT), totalWei: String(22n * EMT), sent: false });
    expect(await run('node')).toMatchObject({ tokenWei: before.tokenWei });

    const { jobId = '' } = await run(...request);
    const locked = BigInt(before.tokenWei ?? '') - BigInt((await run('node')).tokenWei ?? '');
    expect(locked).toBe(BigInt(String(quote.totalWei)));

    expect(await run('cancel', jobId)).toMatchObject({ jobId, state: 'CANCELED' });
    expect(await run('node')).toMatchObject({ creditWei: String(locked) });

    const dry = await run<Record<string, unknown>>('withdraw', '--dry-run');
    expect(dry).toMatchObject({ amountWei: String(locked), sent: false });
    const moved = await run<Record<string, unknown>>('withdraw');
    expect(moved).toMatchObject({ creditBefore: String(locked), creditAfter: '0', sent: true });
    expect(await run('node')).toMatchObject({ tokenWei: before.tokenWei, creditWei: '0' });
  });

  test('withdraw, nothing owed: says so and succeeds', async () => {
    expect(await run<Record<string, unknown>>('withdraw')).toMatchObject({ amountWei: '0', sent: false });
  });

  test('withdraw --to: somebody else receives it', async () => {
    const other = '0x90f79bf6eb2c4f870365e785982e1f101e93b906';
    const { jobId = '' } = await run(...request);
    await run('cancel', jobId);
    const { amountWei } = await run('withdraw', '--to', other);
    expect(await run('node', other)).toMatchObject({ tokenWei: amountWei });
  });

  test('cancel after the deadline: untaken job expires, late node is penalised', async () => {
    await using own = await openClientChain();
    await using node = await own.openNode();
    const untaken = await own.run(...request);
    const taken = await own.run(...request);
    await node.emeth.process(JobId.parse(taken.jobId));
    await own.warp(3 * 3600);
    expect(await own.run('cancel', untaken.jobId ?? '')).toMatchObject({ state: 'TIMEOUT' });
    expect(await own.run('cancel', taken.jobId ?? '')).toMatchObject({ state: 'TIMEOUT' });
    // Both fees with the verifiers' and the burnt part, and the tip for ending the second: 5 % of the node's
    // penalty of 20 %.
    const { creditBefore } = await own.run('withdraw');
    expect(BigInt(creditBefore ?? 0)).toBe((2n * 22n * 10n + 2n) * 10n ** 17n);
  });

  test('cancel of a cancelled job: says so and sends nothing', async () => {
    const { jobId = '' } = await run(...request);
    expect(await run<object>('cancel', jobId)).toMatchObject({ state: 'CANCELED', sent: true });
    expect(await run<object>('cancel', jobId)).toEqual({ jobId, state: 'CANCELED', sent: false });
    const config = ['--config', client.file('client.json'), '--data-dir', client.file('data')];
    const { status, out } = await runInProcess('cancel', jobId, ...config);
    expect({ status, out }).toEqual({ status: 0, out: expect.stringContaining(`${jobId} was already cancelled`) });
  });

  test('decline of a cancelled job: chain/reverted with the contract’s reason', async () => {
    const { jobId = '' } = await run(...request);
    await run('cancel', jobId);
    await run('withdraw');
    const { status, message } = await runFailing('decline', jobId);
    expect(status).toBe(5);
    expect(message).toMatch(/EmethCore_/);
  });

  test.each(['cancel', 'decline', 'result'])('%s of an unknown job: throws job/not-found', async (command) => {
    expect(await runFailing(command, `0x${'cd'.repeat(16)}`)).toMatchObject({ status: 3, code: 'job/not-found' });
  });

  test.each([
    ['a deadline in the past', [...request, '--deadline', '2020-01-01'], 2],
    ['parameters out of range', [...request, '--params', '{"epochs":0}'], 2],
    ['an address that is none', ['withdraw', '--to', '0x12'], 2],
    ['more than the account has', [...request, '--fee', '999999999999emt'], 2],
    ['a fee below the least', [...request, '--fee', '1wei'], 2],
    ['a fee without its unit', [...request, '--fee', '10'], 2],
    ['a deadline too near', [...request, '--deadline', '1s'], 2],
  ])('%s: refused', async (_name, argv, status) => {
    expect(await runFailing(...argv)).toMatchObject({ status });
  });

  test('request, parameter file missing: throws usage/unreadable-file', async () => {
    const failure = await runFailing(...request, '--params', '@nofile.json');
    expect(failure).toMatchObject({ status: 2, code: 'usage/unreadable-file' });
    expect(failure.message).toBe('nofile.json (--params) cannot be read: there is no such file; correct its path.');
  });

  test('request, neither file nor reference: throws usage/bad-dataset', async () => {
    const { code } = await runFailing('request', '--dataset', 'sha256:nonsense', '--fee', '20emt');
    expect(code).toBe('usage/bad-dataset');
  });

  test('data directory of another contract: refused with both, before anything is sent', async () => {
    const { jobId = '' } = await run(...request);
    const config = JSON.parse(await readFile(client.file('client.json'), 'utf8'));
    const [here, there] = [config.emethContractAddress, config.tokenContractAddress];
    const path = client.file('other-contract.json');
    await writeFile(path, JSON.stringify({ ...config, emethContractAddress: there }), { mode: 0o600 });
    const place = ['--config', path, '--data-dir', client.file('data')];
    const { status, talk } = await runInProcess('cancel', jobId, ...place, '--json');
    expect({ status, ...JSON.parse(talk).error }).toMatchObject({ status: 2, code: 'store/other-chain' });
    expect(JSON.parse(talk).error.message).toContain(`belongs to the contract ${here} on chain 31337`);
  });

  test.each([
    ['another chain', { chainId: 1 }, 'chain/wrong-chain'],
    ['an address without code', { emethContractAddress: `0x${'12'.repeat(20)}` }, 'chain/no-code'],
    ['an endpoint where nobody is', { endpoint: 'http://127.0.0.1:1' }, 'chain/unreachable'],
  ])('configuration with %s: refused', async (_name, change, code) => {
    const config = { ...JSON.parse(await readFile(client.file('client.json'), 'utf8')), ...change };
    const path = client.file(`${code.replace('/', '-')}.json`);
    await writeFile(path, JSON.stringify(config), { mode: 0o600 });
    const { status, talk } = await runInProcess('node', '--config', path, '--json');
    expect(status).toBe(5);
    expect(JSON.parse(talk)).toMatchObject({ error: { code } });
  });
});

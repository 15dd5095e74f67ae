/** What `emeth register-node` refuses before it sends anything. */
import { mkdir, writeFile } from 'node:fs/promises';
import { Wallet } from 'ethers';
import { Address } from '../../../../src/domain/ids';
import { sha256 } from '../../../../src/lib/hash';
import { devKeys } from '../../../../src/runner/anvil';
import { runInProcess } from '../../../support/cli';
import { type ClientChain, openClientChain } from '../../../support/client-chain';

const WEEK_S = 7 * 86_400;
const [, nodeKey, poorKey] = devKeys;
const nodeAddress = Address.parse(new Wallet(nodeKey).address);
const poor = Address.parse(new Wallet(poorKey).address);
const payout = Address.parse(`0x${'44'.repeat(20)}`);
const otherPayout = Address.parse(`0x${'55'.repeat(20)}`);

let client: ClientChain;
beforeEach(async () => {
  client = await openClientChain();
});
afterEach(() => client[Symbol.asyncDispose]());

const register = (...more: string[]) => [
  'register-node',
  '--organization',
  'acme',
  '--wallet-account',
  payout,
  ...more,
];
const sent = () => client.provider.getTransactionCount(client.requester);

/** Runs a command as another of the chain's accounts. */
async function runAs(key: string, ...argv: string[]) {
  return runInProcess(...argv, '--config', await client.writeConfig(key), '--data-dir', client.file('other'), '--json');
}

/** What the node signs for the requester, in a file. */
async function signEnrolment(...more: string[]): Promise<{ path: string; content: Record<string, unknown> }> {
  const { out } = await runAs(nodeKey, ...register('--sign', client.requester, ...more));
  const path = client.file('node.enrolment');
  await writeFile(path, out);
  return { path, content: JSON.parse(out) };
}

describe('before the first transaction', () => {
  test.each([
    ['a payout wallet of zero', ['--wallet-account', `0x${'0'.repeat(40)}`], 'zero address'],
    ['too little stake', ['--stake', '9.5emt'], 'at least 10 EMT'],
    ['too many compute units', ['--compute-units', String(2 ** 32)], String(2 ** 32 - 1)],
    ['a name that is too long', ['--organization', 'ä'.repeat(33)], '1 to 64 bytes, not 66'],
    ['no name', ['--organization', ''], '1 to 64 bytes, not 0'],
    ['an address that is too long', ['--capability-uri', `https://${'a'.repeat(250)}`], 'at most 256 bytes'],
  ])('%s: throws usage/bad-enrolment', async (_, options, words) => {
    const before = await sent();
    const refused = await client.runFailing(...register(...options));
    expect(refused).toMatchObject({ status: 2, code: 'usage/bad-enrolment' });
    expect(refused.message).toContain(words);
    expect(await sent()).toBe(before);
  });

  test('values over the limits: all named at once; values at the limits: accepted', async () => {
    const { message } = await client.runFailing(
      ...register('--compute-units', String(2 ** 33), '--wallet-account', `0x${'0'.repeat(40)}`),
    );
    expect(message).toMatch(/--wallet-account.*--compute-units/);
    const most = ['--organization', 'ä'.repeat(32), '--compute-units', String(2 ** 32 - 1)];
    expect(await client.run(...register(...most, '--stake', '10emt'))).toMatchObject({ computeUnits: 2 ** 32 - 1 });
  });

  test('stake beyond the balance: throws chain/not-enough-tokens despite credit', async () => {
    const before = await sent();
    expect(await client.runFailing(...register('--stake', '200000000emt'))).toMatchObject({
      status: 5,
      code: 'chain/not-enough-tokens',
    });
    expect(await sent()).toBe(before);
    const { status, talk } = await runAs(poorKey, ...register());
    expect({ status, talk }).toMatchObject({ status: 5, talk: expect.stringContaining('0 EMT of credit') });
    expect(await client.provider.getTransactionCount(poor)).toBe(0);
  });

  test('too little coin for all gas: throws chain/no-funds', async () => {
    // 0.0005 ETH would pay for the organisation, and not for the node.
    await client.provider.send('anvil_setBalance', [client.requester, '0x1c6bf52634000']);
    const before = await sent();
    expect(await client.runFailing(...register())).toMatchObject({ status: 5, code: 'chain/no-funds' });
    expect(await sent()).toBe(before);
  });

  test('organisation of somebody else: throws registry/other-owner', async () => {
    await client.run(...register());
    const before = await client.provider.getTransactionCount(nodeAddress);
    const { status, talk } = await runAs(nodeKey, ...register());
    expect({ status, talk }).toMatchObject({ status: 4, talk: expect.stringContaining(client.requester) });
    expect(talk).toContain('registry/other-owner');
    expect(await client.provider.getTransactionCount(nodeAddress)).toBe(before);
  });

  test('other payout wallet than before: throws usage/bad-enrolment', async () => {
    await client.run(...register());
    await client.run('unregister-node');
    await client.warp(WEEK_S + 1);
    await client.run('unregister-node');
    const refused = await client.runFailing(...register('--wallet-account', otherPayout));
    expect(refused).toMatchObject({ status: 2, code: 'usage/bad-enrolment' });
    expect(refused.message).toContain(payout);
    expect(await client.run(...register())).toMatchObject({ payout });
  });
});

describe('a node that is registered', () => {
  test.each([
    ['--organization', 'other', 'emeth unregister-node'],
    ['--wallet-account', otherPayout, `emeth payout --to ${otherPayout}`],
    ['--stake', '12emt', 'emeth stake --amount 2emt'],
    ['--compute-units', '8', 'emeth unregister-node'],
    ['--capability-uri', 'https://a.example', 'emeth unregister-node'],
  ])('registered with another %s: throws usage/registered-otherwise', async (option, value, remedy) => {
    await client.run(...register('--compute-units', '7'));
    const before = await sent();
    const refused = await client.runFailing(...register(option, value));
    expect(refused).toMatchObject({ status: 2, code: 'usage/registered-otherwise' });
    expect(refused.message).toContain(`${option} is `);
    expect(refused.message.match(/--[\w-]+ is /g)).toHaveLength(1);
    expect(refused.message).toContain(remedy);
    expect(await sent()).toBe(before);
  });

  test('registered with another document: throws usage/registered-otherwise', async () => {
    const file = client.file('gpu.json');
    await writeFile(file, '{"gpu":"H200"}');
    const hash = `0x${sha256('{"gpu":"H200"}')}`;
    expect(await client.run(...register('--capability-file', file))).toMatchObject({ capabilityHash: hash });
    expect(await client.run(...register('--capability-file', file))).toMatchObject({ capabilityHash: hash });
    await writeFile(file, '{"gpu":"B200"}');
    const { message } = await client.runFailing(...register('--capability-file', file));
    expect(message).toContain('--capability-file is ');
  });

  test('several differences: all named, left-out options not compared', async () => {
    await client.run(...register('--compute-units', '7', '--stake', '11emt'));
    expect(await client.run(...register())).toMatchObject({ computeUnits: 7 });
    const { message } = await client.runFailing(...register('--organization', 'b', '--compute-units', '9'));
    expect(message).toMatch(/--organization is acme and not b.*--compute-units is 7 and not 9/);
  });

  test('payout wallet proposed already: the remedy is to confirm', async () => {
    await client.run(...register());
    await client.run('payout', '--to', otherPayout);
    const { message } = await client.runFailing(...register('--wallet-account', otherPayout));
    expect(message).toContain(`emeth payout --node-addr ${client.requester} --confirm`);
  });
});

describe('--capability-file, --enrolment', () => {
  const bring = (path: string) => register('--node-addr', nodeAddress, '--enrolment', path);

  test.each([
    ['--capability-file', (path: string) => register('--capability-file', path)],
    ['--enrolment', bring],
  ] as const)('%s: throws usage/unreadable-file for one that is missing or a directory', async (option, command) => {
    const before = await sent();
    const missing = client.file('nowhere.json');
    const refused = await client.runFailing(...command(missing));
    expect(refused).toMatchObject({ status: 2, code: 'usage/unreadable-file' });
    expect(refused.message).toBe(`${missing} (${option}) cannot be read: there is no such file; correct its path.`);
    await mkdir(client.file('folder'));
    expect((await client.runFailing(...command(client.file('folder')))).message).toContain('it is a directory');
    expect(await sent()).toBe(before);
  });

  test.each([
    ['--capability-file', (path: string) => register('--capability-file', path)],
    ['--enrolment', bring],
  ] as const)('%s: throws usage/bad-file for what is no JSON object', async (option, command) => {
    const path = client.file('bad.json');
    for (const [text, words] of [
      ['{"gpu"', 'it is not JSON'],
      ['[1]', 'it is not one JSON object'],
      ['null', 'it is not one JSON object'],
    ] as const) {
      await writeFile(path, text);
      const refused = await client.runFailing(...command(path));
      expect(refused).toMatchObject({ status: 2, code: 'usage/bad-file' });
      expect(refused.message).toBe(`${path} (${option}) cannot be used: ${words}.`);
    }
  });

  test.each([
    ['a field is missing', { payout: undefined }, 'payout is missing'],
    ['a field is wrong', { signature: '0x12' }, 'signature is wrong: must be 0x and 130 hex digits'],
    ['an address is wrong', { node: 'me' }, 'node is wrong: an address is 0x and 40 hex digits'],
    ['there is a field too many', { more: 1 }, '"more"'],
  ])('%s: throws usage/bad-file', async (_, change, words) => {
    const { path, content } = await signEnrolment();
    await writeFile(path, JSON.stringify({ ...content, ...change }));
    const refused = await client.runFailing(...bring(path));
    expect(refused).toMatchObject({ status: 2, code: 'usage/bad-file' });
    expect(refused.message).toContain(words);
    expect(refused.message).not.toContain('\n');
  });

  test('signature by or for somebody else: registry/no-consent, nothing created', async () => {
    const { path, content } = await signEnrolment();
    const before = await sent();
    const forged = { ...content, signature: `0x${'11'.repeat(64)}1b` };
    await writeFile(path, JSON.stringify(forged));
    expect(await client.runFailing(...bring(path))).toMatchObject({ code: 'registry/no-consent' });
    const { out } = await runAs(nodeKey, ...register('--sign', poor));
    await writeFile(path, out);
    expect(await client.runFailing(...bring(path))).toMatchObject({ code: 'registry/no-consent' });
    expect(await sent()).toBe(before);
  });

  test('expired signature: registry/consent-expired, nothing created', async () => {
    const { path } = await signEnrolment();
    await client.warp(86_400 + 60);
    const before = await sent();
    expect(await client.runFailing(...bring(path))).toMatchObject({ code: 'registry/consent-expired' });
    expect(await sent()).toBe(before);
  });
});

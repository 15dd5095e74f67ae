/** What is said where there is no sandbox, and which setting counts. */
import { chmod, writeFile } from 'node:fs/promises';
import { allowNamespaces, explain, findSandbox } from '../../../src/runner/find-sandbox';
import { openScratch } from '../../support/scratch';
import { realPython } from '../../support/tiny-job';

const before = { ...process.env };
beforeEach(() => {
  delete process.env.EMETH_SANDBOX;
});
afterEach(() => {
  process.env = { ...before };
});

/** Searches where `bwrap` is a program that fails like this; nowhere without it. */
async function findBeside(mode: 'require' | 'auto' | 'off', said?: string) {
  await using scratch = await openScratch();
  if (said !== undefined) {
    await writeFile(scratch.file('bwrap'), `#!/bin/sh\necho 'bwrap: ${said}' >&2\nexit 1\n`);
    await chmod(scratch.file('bwrap'), 0o755);
  }
  process.env.PATH = scratch.path;
  return await findSandbox(mode, realPython);
}

describe('findSandbox', () => {
  test('no bubblewrap, auto: limits, and the package to install', async () => {
    expect(await findBeside('auto')).toEqual({
      level: 'limits',
      reason: 'bubblewrap is not installed',
      remedy: expect.stringContaining('`bubblewrap`'),
    });
  });

  test('no bubblewrap, require: refused with the remedy', async () => {
    await expect(findBeside('require')).rejects.toMatchObject({
      code: 'runner/no-sandbox',
      message: expect.stringMatching(
        /^The sandbox is required, but bubblewrap is not installed; install bubblewrap .*\.$/,
      ),
    });
  });

  test('no user namespaces: limits, and why', async () => {
    const said = 'No permissions to create new namespace, likely because the kernel does not allow it';
    expect(await findBeside('auto', said)).toMatchObject({ level: 'limits', reason: expect.stringContaining(said) });
  });

  test('switched off: not even looked for', async () => {
    expect(await findBeside('off')).toEqual({ level: 'off' });
  });

  test('EMETH_SANDBOX set: it overrides the configuration', async () => {
    process.env.EMETH_SANDBOX = 'off';
    expect(await findBeside('require')).toEqual({ level: 'off' });
  });
});

test('EMETH_SANDBOX misspelt: refused with what it may be', async () => {
  process.env.EMETH_SANDBOX = 'on';
  await expect(findBeside('off')).rejects.toThrow('EMETH_SANDBOX is "on"; it must be require, auto or off.');
});

describe('explain', () => {
  test('another failure of bubblewrap: told as it is', () => {
    const said = 'bwrap: Can’t find source path /nowhere: No such file or directory';
    expect(explain({ stderr: `${said}\n` }).reason).toContain(said);
  });

  test.each([
    ['Ubuntu’s AppArmor', { 'kernel/apparmor_restrict_unprivileged_userns': '1' }, /AppArmor.*apparmor_restrict/],
    ['Debian’s switch', { 'kernel/unprivileged_userns_clone': '0' }, /unprivileged_userns_clone=1/],
    ['the limit', { 'user/max_user_namespaces': '0' }, /max_user_namespaces/],
    ['a container', {}, /container/],
  ])('namespaces forbidden by %s: its remedy', (_name, values, remedy) => {
    expect(allowNamespaces((name) => (values as Record<string, string>)[name])).toMatch(remedy);
  });
});

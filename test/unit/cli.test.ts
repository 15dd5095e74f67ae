/** The command line in this process: its help, the page made of it, and how it refuses wrong usage. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '../../src/cli';
import { renderCommands } from '../../src/terminal/reference';
import { runInProcess } from '../support/cli';

const commands = buildProgram().commands.map((command) => [command.name(), command] as const);

/** Names that scripts and operators know: one may be added, none renamed. */
const byAudience = {
  requesters: ['request', 'result', 'generate', 'accept', 'cancel'],
  'GPU owners': ['worker'],
  operators: [
    ...['master', 'verifier', 'board', 'joblist', 'job', 'decline'],
    ...['register-node', 'unregister-node', 'stake', 'payout', 'deploy', 'rpc', 'db-init'],
  ],
  everybody: [
    ...['demo', 'challenge', 'node', 'query-all-nodes', 'query-node', 'query-node-incentive'],
    ...['withdraw', 'init', 'new-account', 'doctor'],
  ],
};

describe('command line', () => {
  test('docs/commands.md: equals what npm run docs writes', () => {
    const page = readFileSync(join(__dirname, '..', '..', 'docs', 'commands.md'), 'utf8');
    expect(page).toBe(renderCommands(buildProgram()));
  });

  test.each(commands)('%s --help: shows an example and the common options', async (name) => {
    const { status, out } = await runInProcess(name, '--help');
    expect(status).toBe(0);
    expect(out).toMatch(/Example:\n {2}\$ /);
    for (const option of ['--config', '--data-dir', '--json', '--log-level']) expect(out).toContain(option);
  });

  test('--help: every command stands under its audience', async () => {
    const { status, out } = await runInProcess('--help');
    expect(status).toBe(0);
    const groups = out.split(/^For (.+):$/m).slice(1);
    const shown = groups.flatMap((text, i) => {
      const names = [...text.matchAll(/^ {2}(\w[\w-]*) /gm)].map(([, name]) => name);
      return i % 2 === 1 ? [[groups[i - 1], names]] : [];
    });
    const known = Object.entries(byAudience).map(([audience, names]) => [audience, expect.arrayContaining(names)]);
    expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(known));
    expect(shown.flatMap(([, names]) => names)).toHaveLength(commands.length);
  });

  test.each([
    ['an unknown command', ['joblits'], 'Did you mean joblist?'],
    ['an unknown command, asked for its help', ['requst', '--help'], 'Did you mean request?'],
    ['an unknown command behind options', ['--config', 'x.json', 'requst', '-h'], 'Did you mean request?'],
    ['an unknown option', ['joblist', '--stat', 'x'], 'unknown option'],
    ['a missing argument', ['job'], "missing required argument 'id'"],
    ['a bad choice', ['init', 'king'], 'Allowed choices are master, worker'],
    [
      'a demo on a file that is not there',
      ['demo', '--dataset', 'nofile.txt'],
      'nofile.txt (--dataset) cannot be read',
    ],
    ['a state that no job of a queue has', ['joblist', '--state', 'bla'], 'the states are queued, skipped, claimed'],
    ['a model where there is none', ['generate', 'nomodel'], 'There is no directory nomodel'],
    ['a bad log level', ['joblist', '--log-level', 'loud'], 'one of error, warn, info, debug'],
  ])('%s: ends with status 2 and one line', async (_name, argv, words) => {
    const { status, out, talk } = await runInProcess(...argv);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(talk).toContain(words);
    expect(talk.trim().split('\n')).toHaveLength(1);
  });

  test('no command: status 2, the help and nothing else', async () => {
    const { status, out, talk } = await runInProcess();
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(talk).toMatch(/^Usage: emeth/);
    expect(talk).not.toContain('outputHelp');
    expect(talk.trimEnd()).toMatch(/130 stopped\.$/);
  });

  test('--json before or after the command: errors are JSON', async () => {
    for (const argv of [
      ['--json', 'job', 'x'],
      ['job', 'x', '--json'],
    ]) {
      const { status, talk } = await runInProcess(...argv);
      expect(status).toBe(2);
      expect(JSON.parse(talk)).toMatchObject({ error: { code: expect.stringMatching(/^usage\//) } });
    }
  });
});

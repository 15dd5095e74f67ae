import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '../../src/cli';
import { renderCommands } from '../../src/terminal/reference';
import { runInProcess } from '../support/cli';

const commands = buildProgram().commands.map((command) => [command.name(), command] as const);

describe('command line', () => {
  test('docs/commands.md is up to date (npm run docs)', () => {
    const page = readFileSync(join(__dirname, '..', '..', 'docs', 'commands.md'), 'utf8');
    expect(page).toBe(renderCommands(buildProgram()));
  });

  test.each(commands)('%s --help shows an example and the common options', async (name) => {
    const { status, out } = await runInProcess(name, '--help');
    expect(status).toBe(0);
    expect(out).toMatch(/Example:\n {2}\$ /);
    for (const option of ['--config', '--data-dir', '--json', '--log-level']) expect(out).toContain(option);
  });

  test('when --help', async () => {
    const { status, out } = await runInProcess('--help');
    expect(status).toBe(0);
    for (const [name] of commands) expect(out).toContain(`  ${name} `);
  });

  test.each([
    ['an unknown command', ['joblits'], 'Did you mean joblist?'],
    ['an unknown option', ['joblist', '--stat', 'x'], 'unknown option'],
    ['a missing argument', ['job'], "missing required argument 'id'"],
    ['a bad choice', ['init', 'king'], 'Allowed choices are master, worker'],
    [
      'a demo on a file that is not there',
      ['demo', '--dataset', 'nofile.txt'],
      'nofile.txt (--dataset) cannot be read',
    ],
    ['a state that no job of a queue has', ['joblist', '--state', 'bla'], 'those are queued, skipped, claimed'],
    ['a model where there is none', ['generate', 'nomodel'], 'There is no directory nomodel'],
    ['a bad log level', ['joblist', '--log-level', 'loud'], 'one of error, warn, info, debug'],
  ])('throws usage for %s', async (_name, argv, words) => {
    const { status, out, talk } = await runInProcess(...argv);
    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(talk).toContain(words);
    expect(talk.trim().split('\n')).toHaveLength(1);
  });

  test('when --json: errors are JSON too, wherever it stands', async () => {
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

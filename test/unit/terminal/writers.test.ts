/** Keeps `terminal` the only writer to stdout and stderr: anything else would mix into a command's data. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

const root = join(__dirname, '..', '..', '..', 'src');
const WRITES = /\bprocess\.std(out|err)\b|\bconsole\.|\btransports\.Console\b|'inherit'|\bwriteSync\(\s*[12]\b/;

/** Files outside `terminal` that may write, with the reason. */
const allowed: Readonly<Record<string, string>> = {
  'lib/logger.ts': 'a log line is no output of a command; winston writes it to stderr, and lib may not import terminal',
  'runner/lm-eval.ts': 'the output of the command is that of lm-eval, a program of others',
};

function sources(): string[] {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  return files.map((path) => relative(root, join(root, path)).split(sep).join('/'));
}

const writers = sources().filter((path) => WRITES.test(readFileSync(join(root, path), 'utf8')));

describe('writers to stdout and stderr', () => {
  test('outside terminal: only those with a reason', () => {
    expect(writers.filter((path) => !path.startsWith('terminal/'))).toEqual(Object.keys(allowed));
  });

  test('inside terminal: the scan finds them', () => {
    expect(writers).toContain('terminal/print.ts');
  });
});

/** Programs of `test/fixtures`, compiled once for tests that start them many times. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const root = join(__dirname, '..', '..');

/**
 * Compiles a program of `test/fixtures` with its imports and returns the path of the result, for tests that
 * start it so often that compiling it every time would take minutes.
 */
export async function compileFixture(name: string): Promise<string> {
  // Below the project, so that its packages are found.
  const dir = join(root, '.cache', 'fixtures', name);
  await mkdir(dir, { recursive: true });
  const settings = {
    extends: '../../../tsconfig.json',
    compilerOptions: { noEmit: false, outDir: '.', rootDir: '../../..' },
    include: [],
    files: [`../../../test/fixtures/${name}.ts`],
  };
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(settings));
  const compiler = join(root, 'node_modules', '.bin', 'tsc');
  await promisify(execFile)(compiler, ['-p', join(dir, 'tsconfig.json')]);
  return join(dir, 'test', 'fixtures', `${name}.js`);
}

/** What the built command line loads before a command runs: a careless import would slow down every start. */
import { execFileSync } from 'node:child_process';
import { relative, sep } from 'node:path';
import { builtCli } from '../support/cli';

/** The modules a process has loaded once all commands are registered, relative to the project. */
function modulesOfRegistration(): string[] {
  const script = `require(${JSON.stringify(builtCli())}).buildProgram(); console.log(JSON.stringify(Object.keys(require.cache)))`;
  const paths = JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })) as string[];
  return paths.map((path) => relative(process.cwd(), path).split(sep).join('/'));
}

describe('building the program', () => {
  const modules = modulesOfRegistration();

  test('packages: commander alone is loaded', () => {
    const packages = modules.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
    expect([...new Set(packages)]).toEqual(['commander']);
  });

  test('own files: registrations and terminal alone are loaded', () => {
    const own = modules.filter((path) => path.startsWith('dist/'));
    expect(own).toContain('dist/commands/jobs/job-commands.js');
    const others = own.filter(
      (path) =>
        !/^dist\/(cli|commands\/\w+\/\w+-commands|terminal\/\w+|lib\/(errors|lean-heap|format-bytes)|domain\/(emt|gas|presets|data-formats))\.js$/.test(
          path,
        ),
    );
    expect(others).toEqual([]);
  });
});

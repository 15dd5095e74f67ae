/** The files that an interpreter reads, wherever they lie: virtual environment, pyenv, conda, system. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { pythonPackageDir } from './python';

/** The interpreter behind a path, which may be a script or a link, and all that it reads. */
export interface PythonRoots {
  executable: string;
  /** Directories and files; absolute, and there. */
  roots: string[];
}

const Answer = z.object({ executable: z.string(), roots: z.array(z.string()) });

/**
 * Also compiles this project's own package: a child that cannot write there would compile it at each start.
 * Outside a virtual environment Python finds its libraries from the file that the links lead to.
 */
const SCRIPT = `
import compileall, json, os, sys, sysconfig
compileall.compile_dir(sys.argv[1], quiet=2)
is_venv = sys.prefix != sys.base_prefix
executable = sys.executable if is_venv else os.path.realpath(sys.executable)
roots, path = [executable], executable
while os.path.islink(path):
    path = os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path)))
    roots.append(path)
for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix):
    roots += [os.path.join(prefix, part) for part in ("bin", "lib", "lib64", "pyvenv.cfg")]
paths = sysconfig.get_paths()
roots += [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
roots += [*sys.path[1:], *os.environ.get("LD_LIBRARY_PATH", "").split(":")]
roots = [root for root in dict.fromkeys(roots) if os.path.isabs(root) and os.path.exists(root)]
print(json.dumps({"executable": executable, "roots": roots}))
`;

/** Asks an interpreter. Throws when it does not run. */
export async function findRoots(python: string): Promise<PythonRoots> {
  const own = join(pythonPackageDir, 'emeth');
  const { stdout } = await promisify(execFile)(python, ['-c', SCRIPT, own], { timeout: 120_000 });
  const { executable, roots } = Answer.parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
  return { executable, roots: [own, ...roots] };
}

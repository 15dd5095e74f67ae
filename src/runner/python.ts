/** Finds a Python interpreter that can run the package in `python/`. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError, errorCode } from '../lib/errors';

export type PythonError =
  | { code: 'runner/no-python'; tried: string }
  | { code: 'runner/old-python'; path: string; version: string }
  | { code: 'runner/no-torch'; path: string; missing: string };

/** An interpreter that can run the Python package, and the GPUs it finds. */
export interface Python {
  path: string;
  version: string;
  torch: string;
  cudaDevices: { name: string; memoryBytes: number }[];
  /** Libraries that only some jobs need, and that it has not. */
  lacking: string[];
}

const projectRoot = join(__dirname, '..', '..');
/** Where `python -m emeth` finds the package. */
export const pythonPackageDir = join(projectRoot, 'python');

/** Loading PyTorch takes seconds, so only a build for CUDA or ROCm is loaded: only those find GPUs. */
const PROBE = `
import importlib.util, json, os, runpy, sys
facts = {"version": "%d.%d.%d" % sys.version_info[:3], "missing": "", "torch": "", "cudaDevices": [], "lacking": []}
if sys.version_info < (3, 10):
    print(json.dumps(facts)); sys.exit()
specs = {name: importlib.util.find_spec(name) for name in ("numpy", "safetensors", "torch")}
facts["missing"] = next((name for name, spec in specs.items() if spec is None or not spec.origin), "")
facts["lacking"] = [name for name in ("transformers", "peft") if importlib.util.find_spec(name) is None]
if not facts["missing"]:
    build = runpy.run_path(os.path.join(os.path.dirname(specs["torch"].origin), "version.py"))
    facts["torch"] = build["__version__"]
    if build.get("cuda") or build.get("hip"):
        try:
            import torch
            for i in range(torch.cuda.device_count()):
                p = torch.cuda.get_device_properties(i)
                facts["cudaDevices"].append({"name": p.name, "memoryBytes": p.total_memory})
        except ImportError as error:
            facts["missing"] = error.name or str(error)
print(json.dumps(facts))
`;

const Facts = z.object({
  version: z.string(),
  missing: z.string(),
  torch: z.string(),
  cudaDevices: z.array(z.object({ name: z.string(), memoryBytes: z.int() })),
  lacking: z.array(z.string()),
});

/**
 * Returns the interpreter to use: EMETH_PYTHON, the configured one, this project's .venv, then python3.
 * Throws a `PythonError` with the remedy when it does not exist, is too old, or lacks PyTorch.
 */
export async function findPython(configured?: string): Promise<Python> {
  const path = pythonPath(configured);
  const facts = await probe(path);
  const [major = 0, minor = 0] = facts.version.split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 10)) {
    throw new AppError<PythonError>(
      { code: 'runner/old-python', path, version: facts.version },
      `${path} is Python ${facts.version}; Python 3.10 or newer is needed.`,
    );
  }
  if (facts.missing) {
    throw new AppError<PythonError>(
      { code: 'runner/no-torch', path, missing: facts.missing },
      `${path} has no ${facts.missing}; run \`npm run setup\`, or \`${path} -m pip install -r python/requirements.txt\`.`,
    );
  }
  const { version, torch, cudaDevices, lacking } = facts;
  return { path, version, torch, cudaDevices, lacking };
}

/** Returns the interpreter that `findPython` would check. */
export function pythonPath(configured?: string): string {
  const venv = join(projectRoot, '.venv', 'bin', 'python');
  return process.env.EMETH_PYTHON ?? configured ?? (existsSync(venv) ? venv : 'python3');
}

async function probe(path: string): Promise<z.infer<typeof Facts>> {
  let printed = '';
  try {
    printed = (await promisify(execFile)(path, ['-c', PROBE], { timeout: 120_000 })).stdout;
    // The last line: what sets up an environment, such as conda, may greet on stdout before.
    return Facts.parse(JSON.parse(printed.trimEnd().split('\n').at(-1) ?? ''));
  } catch (cause) {
    throw new AppError<PythonError>(
      { code: 'runner/no-python', tried: path },
      `${path} ${whyNotPython(cause, printed)}; install Python 3.10 or newer, or set EMETH_PYTHON to one.`,
      { cause },
    );
  }
}

function whyNotPython(cause: unknown, printed: string): string {
  const code = errorCode(cause);
  if (code === 'ENOENT') return 'does not exist';
  if (code === 'EACCES') return 'may not be run by this account';
  const [line = ''] = printed.trim().split('\n');
  if (line !== '') return `is not Python: it answers ${JSON.stringify(line.slice(0, 80))}`;
  const { stderr, code: status } = cause as { stderr?: string; code?: unknown };
  return `does not run as Python (${stderr?.trim().split('\n').at(-1) || `status ${status}`})`;
}

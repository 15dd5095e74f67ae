'use strict';
/** The Python environment: `EMETH_PYTHON` when set, else `.venv` made from the system's Python. */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { once, root, runQuietly, StepError } = require('./steps.cjs');

const isWindows = process.platform === 'win32';
const venvPython = path.join(root, '.venv', isWindows ? 'Scripts' : 'bin', isWindows ? 'python.exe' : 'python');
const CPU_WHEELS = 'https://download.pytorch.org/whl/cpu';
const PYPI = 'https://pypi.org/simple/pip/';
const PROBE_MS = 3000;
/** The packages that each list of requirements provides. */
const imports = {
  'requirements.txt': 'torch, numpy, safetensors, tokenizers, transformers',
  'requirements-dev.txt': 'pytest, hypothesis, mypy',
};

/** The interpreter that every part uses. */
function pythonPath() {
  return process.env.EMETH_PYTHON || venvPython;
}

/** Makes sure the interpreter exists and has what training needs; `requirements` are files of python/. */
async function preparePython(requirements) {
  if (process.env.EMETH_PYTHON) return checkGivenPython(process.env.EMETH_PYTHON, requirements);
  if (!fs.existsSync(venvPython)) await makeVenv();
  for (const file of requirements) await install(file);
}

async function makeVenv() {
  const remedy = 'On Debian and Ubuntu: apt-get install python3-venv.';
  await runQuietly('Python environment', findPython(), ['-m', 'venv', path.join(root, '.venv')], { remedy });
}

async function install(file) {
  const requirements = path.join('python', file);
  const output = path.relative(root, venvPython);
  await once(`pip ${file}`, { files: ['python/requirements.txt', requirements], output }, async () => {
    const args = ['-m', 'pip', 'install', '--disable-pip-version-check', '--progress-bar', 'off'];
    if (await useCpuWheels()) args.push('--extra-index-url', CPU_WHEELS);
    // Behind a firewall with a local index, pip would retry every package at PyPI for 15 seconds.
    if (!process.env.PIP_RETRIES && !(await canReach(PYPI))) args.push('--retries', '0');
    const remedy = 'Check the network (PyTorch is a large download), or set EMETH_PYTHON to a Python that has PyTorch.';
    await runQuietly(`Python packages (${file})`, venvPython, [...args, '-r', requirements], { remedy });
  });
}

/** PyTorch's CPU build saves gigabytes on Linux machines without an NVIDIA card, if its index can be reached. */
async function useCpuWheels() {
  if (process.platform !== 'linux' || hasCommand('nvidia-smi')) return false;
  return canReach(`${CPU_WHEELS}/torch/`);
}

async function canReach(url) {
  try {
    const response = await fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(PROBE_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

function findPython() {
  const names = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
  const found = names.find((name) => tryPython(name, 'import sys; sys.exit(sys.version_info < (3, 10))'));
  if (found) return found;
  throw new StepError('No Python 3.10 or newer was found. Install python3 and python3-venv, or set EMETH_PYTHON.');
}

function checkGivenPython(python, requirements) {
  if (!tryPython(python, 'import sys; sys.exit(sys.version_info < (3, 10))')) {
    throw new StepError(`EMETH_PYTHON=${python} is not a Python 3.10 or newer. Correct or unset it.`);
  }
  const file = requirements.find((name) => !tryPython(python, `import ${imports[name]}`));
  if (file) {
    const remedy = `Run: ${python} -m pip install -r python/${file}`;
    throw new StepError(`EMETH_PYTHON=${python} lacks packages (${imports[file]}). ${remedy}`);
  }
}

function tryPython(python, code) {
  return spawnSync(python, ['-c', code], { stdio: 'ignore' }).status === 0;
}

function hasCommand(name) {
  return spawnSync(isWindows ? 'where' : 'which', [name], { stdio: 'ignore' }).status === 0;
}

module.exports = { preparePython, pythonPath };

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
  'requirements.txt':
    'torch, numpy, safetensors, tokenizers, transformers, peft, accelerate, sentencepiece, pyarrow, gguf, zstandard, jinja2',
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
  const locked = lockedRequirements(file);
  await once(`pip ${file}`, { files: ['python/requirements.txt', requirements, locked], output }, async () => {
    const isInstalled = fs.existsSync(path.join(root, locked)) && (await installLocked(file, locked));
    if (isInstalled) return;
    const remedy = 'Check the network (PyTorch is a large download), or set EMETH_PYTHON to a Python that has PyTorch.';
    await pipInstall(file, ['-r', requirements], remedy);
  });
}

/** Installs what the list names, if its hash is right; returns false where an index lacks some of it. */
async function installLocked(file, locked) {
  const remedy = `A package is not the one that ${locked} names: find out who changed it before you go on.`;
  try {
    await pipInstall(file, ['--require-hashes', '-r', locked], remedy);
    return true;
  } catch (error) {
    if (error.message.includes('DO NOT MATCH THE HASHES')) throw error;
    process.stderr.write(`Not all of ${locked} can be had here: installing by version, without a check of hashes.\n`);
    return false;
  }
}

async function pipInstall(file, packages, remedy) {
  const args = ['-m', 'pip', 'install', ...(await pipOptions()), ...packages];
  await runQuietly(`Python packages (${file})`, venvPython, args, { remedy });
}

/**
 * Where the packages of this kind of machine are listed with their hashes, if anybody has made that list
 * (`npm run lock:python`): wheels differ by system, processor, Python, and by whether PyTorch is built for CUDA.
 */
function lockedRequirements(file) {
  const code = 'import sys; print("cp%d%d" % sys.version_info[:2])';
  const python = spawnSync(venvPython, ['-c', code], { encoding: 'utf8' }).stdout.trim();
  const build = wantsCpuWheels() ? '-cpu' : '';
  return path.join('python', 'locked', `${process.platform}-${process.arch}-${python}${build}`, file);
}

/** What pip is told before the packages. */
async function pipOptions() {
  const options = ['--disable-pip-version-check', '--progress-bar', 'off'];
  if (wantsCpuWheels() && (await canReach(`${CPU_WHEELS}/torch/`))) options.push('--extra-index-url', CPU_WHEELS);
  // Behind a firewall with a local index, pip would retry every package at PyPI for 15 seconds.
  if (!process.env.PIP_RETRIES && !(await canReach(PYPI))) options.push('--retries', '0');
  return options;
}

/** PyTorch's CPU build saves gigabytes on Linux machines without an NVIDIA card. */
function wantsCpuWheels() {
  return process.platform === 'linux' && !hasCommand('nvidia-smi');
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

module.exports = { lockedRequirements, pipOptions, preparePython, pythonPath, venvPython };

'use strict';
/** Steps with progress and stamps, for scripts that run before any package is installed. Node's own modules only. */
const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');
const stampDir = path.join(root, '.cache', 'setup');

/** A failure that is already explained; only its message is shown. */
class StepError extends Error {}

/** sha256 over files, folders and facts; a step is skipped while it is unchanged. */
function hashOf(files, facts) {
  const hash = createHash('sha256').update(JSON.stringify(facts));
  for (const file of files.flatMap(filesOf)) {
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(fs.readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesOf(input) {
  const full = path.resolve(root, input);
  if (!fs.existsSync(full)) return [];
  if (fs.statSync(full).isFile()) return [full];
  const entries = fs.readdirSync(full, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries
    .filter((entry) => !['node_modules', '__pycache__', 'generated'].includes(entry.name))
    .flatMap((entry) => filesOf(path.join(full, entry.name)));
}

/**
 * Runs a step unless its inputs are unchanged and its output still exists. The stamp is written last, so an
 * interrupted step runs again.
 */
async function once(name, { files, facts = [], output }, work) {
  const stamp = path.join(stampDir, name.replaceAll(' ', '-'));
  const hash = hashOf(files, facts);
  const isDone =
    fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === hash && fs.existsSync(path.join(root, output));
  if (isDone) return;
  fs.rmSync(stamp, { force: true });
  await work();
  fs.mkdirSync(stampDir, { recursive: true });
  fs.writeFileSync(stamp, hash);
}

/**
 * Runs a command quietly: one line with the time and the command's latest output, everything in
 * `.cache/setup/<name>.log`. On failure, shows the end of that output and the remedy.
 */
function runQuietly(name, command, args, { remedy = '', env = {} } = {}) {
  fs.mkdirSync(stampDir, { recursive: true });
  const logFile = path.join(stampDir, `${name.replaceAll(' ', '-')}.log`);
  const log = fs.createWriteStream(logFile);
  const line = openLine(name);
  const startedMs = Date.now();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let tail = '';
    const onOutput = (data) => {
      log.write(data);
      tail = (tail + data).slice(-4000);
      line.show(tail.trim().split('\n').at(-1) ?? '');
    };
    child.stdout.on('data', onOutput);
    child.stderr.on('data', onOutput);
    child.on('error', (error) => onOutput(`${error.message}\n`));
    child.on('close', (code) => {
      log.end();
      line.end(code === 0, Date.now() - startedMs);
      if (code === 0) return resolve();
      const lastLines = tail.trim().split('\n').slice(-25).join('\n');
      reject(new StepError(`${lastLines}\n\n${name} failed.${remedy ? ` ${remedy}` : ''} Full output: ${logFile}`));
    });
  });
}

/** One line of progress: rewritten every second on a terminal, printed twice elsewhere. */
function openLine(name) {
  const isLive = process.stderr.isTTY === true;
  const startedMs = Date.now();
  let latest = '';
  const draw = () => {
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    const text = `… ${name} ${seconds} s  ${latest}`.slice(0, (process.stderr.columns || 80) - 1);
    process.stderr.write(`\r${text}\u001b[K`);
  };
  const timer = isLive ? setInterval(draw, 500) : undefined;
  if (!isLive) process.stderr.write(`… ${name}\n`);
  return {
    show(text) {
      latest = text.replace(/[^\x20-\x7e]/g, '').trim();
    },
    end(isDone, ms) {
      clearInterval(timer);
      process.stderr.write(
        `${isLive ? '\r\u001b[K' : ''}${isDone ? '✓' : '✗'} ${name} (${(ms / 1000).toFixed(1)} s)\n`,
      );
    },
  };
}

/** Runs a command on this terminal; resolves with its exit status. Ctrl-C reaches it directly. */
function runLoudly(command, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env: { ...process.env, ...env }, stdio: 'inherit' });
    const wait = () => undefined;
    process.on('SIGINT', wait);
    const pass = () => child.kill('SIGTERM');
    process.on('SIGTERM', pass);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', wait);
      process.off('SIGTERM', pass);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
}

module.exports = { StepError, once, root, runLoudly, runQuietly };

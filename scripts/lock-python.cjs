'use strict';
/**
 * Writes down which Python packages `npm run setup` installs on this kind of machine, with their hashes. Run it
 * after a change of python/requirements*.txt, and look at what changed in the list before you commit it.
 *
 *     npm run lock:python
 */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { lockedRequirements, pipOptions, venvPython } = require('./python-env.cjs');
const { root } = require('./steps.cjs');

/** Lets pip resolve a list of requirements anew, without installing; returns its lines with hashes. */
async function lockedLines(file) {
  const args = ['--dry-run', '--ignore-installed', '--quiet', '--report', '-', '-r', path.join('python', file)];
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 'inherit'] };
  const pip = spawnSync(venvPython, ['-m', 'pip', 'install', ...(await pipOptions()), ...args], options);
  if (pip.status !== 0) throw new Error(`pip cannot resolve python/${file}; its message is above.`);
  return JSON.parse(pip.stdout)
    .install.map(({ metadata, download_info }) => {
      const { sha256 } = download_info.archive_info.hashes;
      return `${metadata.name.toLowerCase()}==${metadata.version} --hash=sha256:${sha256}`;
    })
    .sort();
}

async function main() {
  for (const file of ['requirements.txt', 'requirements-dev.txt']) {
    const target = lockedRequirements(file);
    const head = `# What python/${file} comes to on this kind of machine. Written by \`npm run lock:python\`.`;
    const lines = await lockedLines(file);
    fs.mkdirSync(path.dirname(path.join(root, target)), { recursive: true });
    fs.writeFileSync(path.join(root, target), `${[head, ...lines].join('\n')}\n`);
    process.stdout.write(`${target}: ${lines.length} packages\n`);
  }
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});

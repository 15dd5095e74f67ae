import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(__dirname, '..', '..');

/** The binary that npm installed for this platform. */
function findForge(): string {
  const cpu = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const name = `@foundry-rs/forge-${process.platform}-${cpu}/package.json`;
  return join(
    require.resolve(name, { paths: [require.resolve('@foundry-rs/forge/package.json')] }),
    '..',
    'bin',
    'forge',
  );
}

test('invariants and hostile tokens: 256 sequences of 100 calls, see test/contracts/forge', () => {
  const { status, stdout, stderr } = spawnSync(findForge(), ['test'], { cwd: root, encoding: 'utf8' });
  expect([status, status === 0 ? '' : `${stdout}\n${stderr}`]).toEqual([0, '']);
}, 300_000);

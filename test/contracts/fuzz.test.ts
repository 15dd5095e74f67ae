import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findForge } from '../support/forge';

const root = join(__dirname, '..', '..');

/** Sequences of calls, and calls in each, by the profile of foundry.toml that is asked for. */
const sizes: Record<string, readonly [runs: number, depth: number]> = { default: [256, 100], long: [2000, 500] };
const profile = process.env.FOUNDRY_PROFILE ?? 'default';
const [runs, depth] = sizes[profile] ?? [0, 0];

// Compiling all of it anew takes minutes, and so does a long run of one invariant.
const limit = profile === 'long' ? 4 * 3_600_000 : 900_000;

test(
  `unit tests, hostile tokens and invariants of the contracts: ${runs} sequences of ${depth} calls, see test/contracts/forge`,
  () => {
    const { status, stdout, stderr } = spawnSync(findForge(), ['test'], {
      cwd: root,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    });
    expect([status, status === 0 ? '' : `${stdout}\n${stderr}`]).toEqual([0, '']);
    const campaigns = [...stdout.matchAll(/(invariant_\w+)\(\) \(runs: (\d+), calls: (\d+), reverts: (\d+)/g)];
    expect(campaigns.map((found) => found.slice(1)).sort()).toEqual(
      ['invariant_01_to_14', 'invariant_13'].map((name) => [name, `${runs}`, `${runs * depth}`, '0']),
    );
  },
  limit,
);

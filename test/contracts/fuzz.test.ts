/** The forge tests of the contracts, run once with the sizes and the reach that they must have. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findForge } from '../support/forge';

const root = join(__dirname, '..', '..');

/** Sequences of calls, and calls in each, by the profile of foundry.toml. */
const sizes: Record<string, readonly [runs: number, depth: number]> = { default: [256, 100], long: [2000, 500] };
const profile = process.env.FOUNDRY_PROFILE ?? 'default';
const isLong = profile === 'long';
const [runs, depth] = sizes[profile] ?? [0, 0];

const FUZZ_RUNS = 5000;

// Compiling everything afresh takes minutes, and so does a long run of one invariant.
const limit = isLong ? 4 * 3_600_000 : 900_000;

/**
 * How often all sequences together must reach each state and call: at most a fifth of the least that several
 * seeds gave. So no run fails by chance, and a campaign that no longer gets anywhere does.
 */
const leastReach: Record<string, number> = {
  ...{ REQUESTED: 290, PROCESSING: 150, SUBMITTED: 100, VERIFIED: 60, CANCELED: 15, TIMEOUT: 20 },
  ...{ FAILED: 10, DECLINED: 2, DISPUTED: 20, UNVERIFIED: 5 },
  ...{
    request: 300,
    process: 150,
    submit: 100,
    verify: 25,
    rejectResult: 10,
    challenge: 20,
    'forged verdicts': 15,
  },
  ...{ cancel: 15, expire: 10, decline: 5, timeout: 8, accept: 12, finalize: 10, unwind: 5 },
  ...{ payWorkers: 4, claimPay: 25, multicall: 8, sweepUnclaimed: 5 },
  ...{ deposit: 100, withdraw: 75, withdrawWithSig: 90, burn: 150 },
  ...{ setTerms: 90, setPaused: 40, setRegistry: 45, revokeRole: 12 },
  ...{
    register: 1,
    deactivate: 15,
    reactivate: 8,
    withdrawStake: 3,
    addStake: 12,
    proposePayout: 15,
    confirmPayout: 4,
  },
  takeOrganisation: 150,
};
const leastOf: Record<string, Record<string, number>> = {
  crowd: { ...leastReach, requestWithPermit: 100, claimSlots: 4 },
  hostile: { ...leastReach, 'calls from within a transfer': 1 },
};

/** Lines of `campaign:name count,name count,`, one for each sequence. */
function sumReach(lines: string): Record<string, Record<string, number>> {
  const sums: Record<string, Record<string, number>> = {};
  for (const line of lines.trimEnd().split('\n')) {
    const [campaign = '', counts = ''] = line.split(':');
    const sum = sums[campaign] ?? {};
    sums[campaign] = sum;
    for (const [, name = '', count] of counts.matchAll(/([^,]+) (\d+),/g)) sum[name] = (sum[name] ?? 0) + Number(count);
  }
  return sums;
}

/** Settings of the project with one more permission: the tests may write how far they came. */
function prepareReach(): { config: string; reach: string } {
  const folder = join('.cache', 'forge', 'reach');
  mkdirSync(join(root, folder), { recursive: true });
  const [config, reach] = [join(folder, 'foundry.toml'), join(folder, 'reach.txt')];
  const permission = `\n[[profile.default.fs_permissions]]\naccess = "write"\npath = "${folder}"\n`;
  writeFileSync(join(root, config), readFileSync(join(root, 'foundry.toml'), 'utf8') + permission);
  rmSync(join(root, reach), { force: true });
  return { config, reach };
}

test(
  `forge, ${runs} sequences of ${depth} calls: unit tests and invariants pass`,
  () => {
    const { config, reach } = prepareReach();
    const { status, stdout, stderr } = spawnSync(findForge(), ['test'], {
      cwd: root,
      encoding: 'utf8',
      env: isLong ? process.env : { ...process.env, FOUNDRY_CONFIG: config, EMETH_REACH: reach },
      maxBuffer: 64 * 1024 * 1024,
    });
    expect([status, status === 0 ? '' : `${stdout}\n${stderr}`]).toEqual([0, '']);
    const fuzzed = [...stdout.matchAll(/testFuzz_\w+\(.*\) \(runs: (\d+)/g)].map((found) => Number(found[1]));
    expect(fuzzed.length).toBeGreaterThanOrEqual(15);
    expect(Math.min(...fuzzed)).toBeGreaterThanOrEqual(FUZZ_RUNS);
    const campaigns = [...stdout.matchAll(/(invariant_\w+)\(\) \(runs: (\d+), calls: (\d+), reverts: (\d+)/g)];
    expect(campaigns.map((found) => found.slice(1)).sort()).toEqual(
      ['invariant_01_to_16', 'invariant_13'].map((name) => [name, `${runs}`, `${runs * depth}`, '0']),
    );
    // Under the long profile forge refuses the write although `forge config` shows the permission; more calls
    // reach no less.
    if (isLong) return;
    const reached = sumReach(readFileSync(join(root, reach), 'utf8'));
    const rare = Object.entries(leastOf).flatMap(([campaign, least]) =>
      Object.entries(least)
        .filter(([name, count]) => (reached[campaign]?.[name] ?? 0) < count)
        .map(([name, count]) => `${campaign}: ${name} ${reached[campaign]?.[name]}, not ${count}`),
    );
    expect(rare).toEqual([]);
  },
  limit,
);

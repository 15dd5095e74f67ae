/** One run of the demo by a built tree of this or an older commit, as seen from outside: for `builds.ts`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { openAdminClient } from '../../src/admin/client';
import { realPython } from '../../test/support/tiny-job';

const LOOK_MS = 200;
/** So much is shown of the output of a demo that failed. */
const SAID = 2000;
/** A manifest of the demo is far below. */
const MOST_MANIFEST_BYTES = 4 * 2 ** 20;

/** What every build's answers have; other fields differ between builds. */
const Job = z.object({
  jobId: z.string(),
  state: z.string(),
  rounds: z.array(z.object({ round: z.int(), state: z.string(), validationLoss: z.number().optional() })).default([]),
  history: z.array(z.object({ state: z.string(), atMs: z.number() })).default([]),
});
type Job = z.infer<typeof Job>;
const Jobs = z.array(z.object({ jobId: z.string() }));
const Manifest = z.object({
  format: z.string().startsWith('emeth-manifest'),
  fuelUsed: z.number(),
  rounds: z.array(z.object({ leases: z.array(z.object({ update: z.string() })) })),
});
const Summary = z.object({ seconds: z.number(), validationLoss: z.object({ end: z.number() }) });

export interface DemoRun {
  /** From the first lease to the submitted result. */
  jobSeconds: number;
  demoSeconds: number;
  /** On the whole held-out part, at the end. */
  loss: number;
  /** When each fold's held-out loss was known, from the first lease on; shifted so that it ends at `loss`. */
  curve: { seconds: number; loss: number }[];
  bytesPerToken: number;
}

/** Runs `emeth demo` of a tree. Throws with the end of its output when it fails. */
export async function runDemoOf(
  { tree, dir, rounds }: { tree: string; dir: string; rounds: string | undefined },
  show: (line: string) => void,
): Promise<DemoRun> {
  const summary = join(dir, 'summary.json');
  const args = ['demo', '--data-dir', dir, '--json', summary, ...(rounds === undefined ? [] : ['--rounds', rounds])];
  const child = spawn(process.execPath, [join(tree, 'dist', 'cli.js'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, EMETH_PYTHON: realPython },
  });
  const said = text(child.stderr);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const stop = new AbortController();
  const seen = follow(dir, stop.signal, show);
  const code = await ended;
  stop.abort();
  if (code !== 0) throw new Error(`The demo of ${tree} ended with status ${code}: ${(await said).slice(-SAID)}`);
  const { marks, job } = await seen;
  const { seconds, validationLoss } = Summary.parse(JSON.parse(await readFile(summary, 'utf8')));
  const at = (state: string) => job?.history.find((entry) => entry.state === state)?.atMs ?? Number.NaN;
  // Builds sample different held-out sequences; at the end both know the loss on all of them.
  const offset = validationLoss.end - ([...marks.values()].at(-1)?.loss ?? Number.NaN);
  const curve = [...marks.values()].map(({ atMs, loss }) => ({
    seconds: (atMs - at('training')) / 1000,
    loss: loss + offset,
  }));
  return {
    jobSeconds: (at('submitted') - at('training')) / 1000,
    demoSeconds: seconds,
    loss: validationLoss.end,
    curve,
    bytesPerToken: await roundBytesPerToken(join(dir, 'run', 'node')),
  };
}

/** Looks at the demo's job until it is told to stop. */
async function follow(dir: string, signal: AbortSignal, show: (line: string) => void) {
  const marks = new Map<number, { atMs: number; loss: number }>();
  let job: Job | undefined;
  while (!signal.aborted) {
    await delay(LOOK_MS);
    job = (await lookAt(dir).catch(() => undefined)) ?? job;
    for (const { round, state, validationLoss: loss } of job?.rounds ?? []) {
      if (state !== 'folded' || loss === undefined || marks.has(round)) continue;
      marks.set(round, { atMs: Date.now(), loss });
      show(`round ${round}, loss ${loss.toFixed(3)}`);
    }
  }
  return { marks, job };
}

async function lookAt(dir: string): Promise<Job | undefined> {
  const config = JSON.parse(await readFile(join(dir, 'run', 'node.json'), 'utf8')) as { my_url: string };
  const admin = openAdminClient(config.my_url);
  const [first] = Jobs.parse(await admin.call('jobs'));
  return first && Job.parse(await admin.call('job', { jobId: first.jobId }));
}

/**
 * Bytes of all updates and of the outer steps that came back, for a token merged. The steps are not kept when
 * a job is over: each was as large as an update, being of the same tensors in the same codec.
 */
async function roundBytesPerToken(dataDir: string): Promise<number> {
  const entries = await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true });
  const sizes = new Map<string, number>();
  let manifest: z.infer<typeof Manifest> | undefined;
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const { size } = await stat(path);
    sizes.set(entry.name, size);
    if (size <= MOST_MANIFEST_BYTES) manifest ??= await readManifest(path);
  }
  if (!manifest) throw new Error(`${dataDir} has no manifest`);
  const updates = manifest.rounds.flatMap(({ leases }) => leases.map(({ update }) => sizes.get(update) ?? Number.NaN));
  return (2 * updates.reduce((sum, bytes) => sum + bytes, 0)) / manifest.fuelUsed;
}

async function readManifest(path: string): Promise<z.infer<typeof Manifest> | undefined> {
  const text = await readFile(path, 'utf8');
  if (!text.startsWith('{')) return undefined;
  try {
    return Manifest.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

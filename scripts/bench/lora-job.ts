/**
 * A whole LoRA job on a base of GPT-2's real shapes (124M, random weights): chain, master, two workers and
 * a verifier as processes, conversations as data. Told are the bytes that a round sends, the most memory of
 * each process and of its Python children, what audits found, and whether a full replay comes out equal.
 *
 *     npm run bench:lora -- [--rounds 3] [--steps 2] [--context 128] [--batch 2] [--short]
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { countAudits } from '../../src/demo/summary';
import { watchJob } from '../../src/demo/watch';
import { systemClock as clock } from '../../src/lib/clock';
import { Manifest } from '../../src/protocol/manifest';
import { type Network, startNetwork } from '../../test/support/network';
import { childrenOf } from '../../test/support/processes';
import { realPython as python } from '../../test/support/tiny-job';
import { mostMb } from './processes';
import { printReport, rowOf } from './report';

const root = join(__dirname, '..', '..');
const CHATS = join(root, 'examples', 'emeth-chat.jsonl');
const LOOK_MS = 200;
/** Of the file above, as the base has them; only the length of the job depends on it. */
const CHAT_TOKENS = 7000;
const INT8_BYTES = 1.02;

interface Options {
  rounds: number;
  steps: number;
  context: number;
  batch: number;
  isShort: boolean;
}

async function measure(options: Options): Promise<void> {
  const base = makeBase(options.isShort);
  const baseBytes = statSync(join(base, 'model.safetensors')).size;
  // A lease may take long on a machine without a GPU.
  const round = { leaseMs: 1_800_000, graceMs: 600_000, resumeMs: 60_000 };
  const roles = { master: { python, round }, worker: { python }, verifier: { python } };
  await using network = await startNetwork({ workers: 2, ...roles });
  const startedMs = performance.now();
  using memory = watchMemory(network);
  const blobBytes = new Map<string, number>();
  const put = await network.command(network.parties.requester, 'put', base);
  const jobId = await network.request(CHATS, paramsOf(options, Put.parse(put).reference), '20emt');
  await watchJob(network.admin, jobId, {
    clock,
    signal: new AbortController().signal,
    show: async () => noteBlobs(network, blobBytes),
    assertAlive: () => undefined,
  });
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const peakMb = memory.peaks();
  const replayed = Replay.parse(await network.command(network.parties.requester, 'replay', jobId, '--full'));
  const manifest = Manifest.parse(JSON.parse(readFileSync(blobOf(network, replayed.manifest), 'utf8')));
  const bytes = bytesPerRound(blobBytes, manifest);
  const isEqual = replayed.difference === undefined;
  const fullRound = (2 * INT8_BYTES * baseBytes) / 4;
  const sent = { bar: '≤ 1/100', ours: bytes.up + bytes.down, theirs: fullRound, unit: 'bytes up and down' };
  printReport([rowOf({ name: 'round of a whole LoRA job ÷ full int8 round', ...sent })], {
    ...options,
    baseBytes,
    seconds,
    rounds: manifest.rounds.length,
    ...bytes,
    peakMb,
    audits: countAudits(manifest),
    missedAudits: manifest.missedAudits.length,
    validationLoss: manifest.validationLoss,
    replay: { rounds: replayed.rounds, leases: replayed.leases, isEqual },
  });
  if (!isEqual) process.exitCode = 1;
}

/** A base as `bench:train` has it; kept in `.cache`. */
function makeBase(isShort: boolean): string {
  const code = 'import sys; from bench.bases import open_base; print(open_base("gpt2", sys.argv[1] == "true"))';
  const env = { ...process.env, PYTHONPATH: join(root, 'python') };
  return (
    execFileSync(python, ['-c', code, String(isShort)], { env, encoding: 'utf8' })
      .trim()
      .split('\n')
      .at(-1) ?? ''
  );
}

function paramsOf({ rounds, steps, context, batch }: Options, base: string): object {
  return {
    tune: 'lora',
    base,
    model: { context },
    data: { template: 'chatml' },
    batch,
    epochs: (rounds * 2 * steps) / Math.floor(CHAT_TOKENS / context / batch),
    round: { steps },
    gradientCheckpointing: true,
    audit: { rate: 1 },
    codec: 'int8',
  };
}

/** Notes how large the master's blobs are: outer steps are not kept when the job is over. */
function noteBlobs({ parties }: Network, blobBytes: Map<string, number>): void {
  const { dataDir } = parties.node;
  for (const name of readdirSync(dataDir, { recursive: true, encoding: 'utf8' })) {
    const sha256 = /[0-9a-f]{64}$/.exec(name)?.[0];
    const file = sha256 && statSync(join(dataDir, name), { throwIfNoEntry: false });
    if (file) blobBytes.set(sha256, file.size);
  }
}

/** The mean bytes of what a worker sends and gets in a round. */
function bytesPerRound(blobBytes: ReadonlyMap<string, number>, { rounds }: Manifest): { up: number; down: number } {
  const mean = (blobs: readonly string[]) =>
    Math.round(blobs.reduce((sum, blob) => sum + (blobBytes.get(blob) ?? Number.NaN), 0) / blobs.length);
  const updates = rounds.flatMap(({ leases }) => leases.map(({ update }) => update));
  return { up: mean(updates), down: mean(rounds.map(({ delta }) => delta)) };
}

/** The file of a blob in the master's store. */
function blobOf({ parties }: Network, sha256: string): string {
  const { dataDir } = parties.node;
  const found = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith(sha256));
  if (found === undefined) throw new Error(`The master has no blob ${sha256}`);
  return join(dataDir, found);
}

interface MemoryWatch extends Disposable {
  /** The most that each process and any of its Python children have held. */
  peaks(): Record<string, number>;
}

function watchMemory(network: Network): MemoryWatch {
  const peaks = new Map<string, number>();
  const { node, workers, verifier } = network.parties;
  const look = () => {
    for (const party of [node, ...workers, verifier]) {
      const { pid } = network.processOf(party);
      note(party.role, pid);
      for (const child of descendantsOf(pid)) note(`${party.role}, Python`, child);
    }
  };
  const note = (name: string, pid: number) => peaks.set(name, Math.max(peaks.get(name) ?? 0, peakOf(pid)));
  const timer = setInterval(look, LOOK_MS);
  return { peaks: () => Object.fromEntries(peaks), [Symbol.dispose]: () => clearInterval(timer) };
}

function descendantsOf(pid: number): number[] {
  try {
    return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
  } catch {
    return []; // it has just ended
  }
}

function peakOf(pid: number): number {
  try {
    return Math.round(mostMb(pid));
  } catch {
    return 0; // it has just ended
  }
}

const Put = z.object({ reference: z.string() });
const Replay = z.object({
  manifest: z.string(),
  rounds: z.int(),
  leases: z.array(z.unknown()).transform(({ length }) => length),
  difference: z.unknown().optional(),
});

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '2' },
    context: { type: 'string', default: '128' },
    batch: { type: 'string', default: '2' },
    short: { type: 'boolean', default: false },
  },
});
const [rounds, steps, context, batch] = [values.rounds, values.steps, values.context, values.batch].map(Number);
void measure({
  rounds: rounds ?? 0,
  steps: steps ?? 0,
  context: context ?? 0,
  batch: batch ?? 0,
  isShort: values.short,
});

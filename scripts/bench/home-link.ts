/**
 * Measures how much sooner a held-out loss is reached over home links than by plain data-parallel training:
 * 20 Mb/s up, 100 down, 80 ms there and back, and a cut every minute, for each of two workers.
 *
 * Ours is a whole job: chain, master and workers as processes, the workers behind the link. Theirs is
 * synchronous training in fp32 with the same data, model and batch, whose workers exchange gradients through
 * a server (`python/bench/peer_parallel.py`), overlapped with the computation, and go on after a cut where
 * they were. The whole of it would take days: its time is that of a step, measured through the link over
 * some steps, times the steps that it needs to our loss, counted without the link. Where it does not reach
 * that loss with as many tokens, its steps so far count, and the true ratio is better than the one told.
 *
 *     npm run bench:home -- [--epochs 2] [--batch 4] [--peer-lr 0.002] [--peer-steps 5] [--short]
 *
 * `--params` takes more of the job's parameters, as JSON.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { writeMobyDick } from '../../src/demo/moby-dick';
import { type ChaosProxy, openChaosProxy } from '../../test/support/chaos-proxy';
import { openScratch } from '../../test/support/scratch';
import { type OurRun, runOurs } from './home-job';
import { type PeerRun, runPeer } from './home-peer';
import { printReport, rowOf, tell } from './report';

const LINK = { upMbit: 20, downMbit: 100, roundTripMs: 80, cutEveryMs: 60_000 };
const WORKERS = 2;
/** 10.8M parameters. */
const MODEL = { layers: 6, heads: 6, width: 384, context: 256 };
const SMALL = { layers: 4, heads: 4, width: 128, context: 128 };
const SHORT_EPOCHS = 0.1;

interface HomeLink extends AsyncDisposable {
  proxy: ChaosProxy;
}

/** What each worker's connection goes through. */
async function openHomeLink(): Promise<HomeLink> {
  const proxy = await openChaosProxy(1);
  const latencyMs = LINK.roundTripMs / 2;
  proxy.set('toServer', { latencyMs, bytesPerSecond: (LINK.upMbit * 1e6) / 8 });
  proxy.set('toClient', { latencyMs, bytesPerSecond: (LINK.downMbit * 1e6) / 8 });
  const cuts = setInterval(() => proxy.cut(), LINK.cutEveryMs);
  return {
    proxy,
    async [Symbol.asyncDispose]() {
      clearInterval(cuts);
      await proxy[Symbol.asyncDispose]();
    },
  };
}

function printRows(ours: OurRun, theirs: PeerRun): void {
  const seconds = { ours: ours.secondsToLoss, theirs: theirs.steps * theirs.secondsPerStep, unit: 'seconds' };
  const bytes = { ours: ours.bytesPerToken, theirs: theirs.bytesPerToken, unit: 'bytes up and down' };
  const rows = [
    rowOf({ name: 'time to equal loss over home links ÷ fp32 data-parallel', bar: '≤ 1/30', ...seconds }),
    rowOf({ name: 'bytes per token over home links ÷ fp32 data-parallel', bar: '≤ 1/3000', ...bytes }),
    ...ours.utilisation.map((share, i) =>
      rowOf({
        name: `computing of worker ${i + 1} over a home link ÷ its time`,
        bar: '≥ 0.97',
        ...{ ours: 100 * share, theirs: 100, unit: '% of the time' },
      }),
    ),
  ];
  printReport(rows, { link: LINK, workers: WORKERS, ours, theirs });
}

async function main(): Promise<void> {
  await using scratch = await openScratch();
  const dataset = await writeMobyDick(scratch.path);
  const epochs = options.short ? SHORT_EPOCHS : Number(options.epochs);
  const params = {
    model: options.short ? SMALL : MODEL,
    epochs,
    batch: Number(options.batch),
    ...(JSON.parse(options.params) as object),
  };
  await using link = await openHomeLink();
  tell('ours: a whole job through the link');
  const ours = await runOurs({ dataset, params, workers: WORKERS, proxy: link.proxy });
  tell(`ours: ${ours.loss.toFixed(3)} after ${Math.round(ours.secondsToLoss)} s`);
  const theirs = await runPeer({
    ...{ dataset, params: ours.params, folder: scratch.file('peer'), proxy: link.proxy, target: ours.loss },
    ...{ workers: WORKERS, lr: Number(options['peer-lr']), steps: Number(options['peer-steps']) },
    ...{ blocks: ours.blocks, threads: availableParallelism() },
  });
  printRows(ours, theirs);
}

const { values: options } = parseArgs({
  options: {
    epochs: { type: 'string', default: '2' },
    batch: { type: 'string', default: '4' },
    'peer-lr': { type: 'string', default: '0.002' },
    'peer-steps': { type: 'string', default: '5' },
    params: { type: 'string', default: '{}' },
    short: { type: 'boolean', default: false },
  },
});
void main();

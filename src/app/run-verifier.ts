/** The verifier daemon: watches for submitted results, has them judged, and attests or rejects them. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BaseCache } from '../blobs/base-cache';
import { BlobStore } from '../blobs/blob-store';
import { fetchDataset } from '../blobs/dataset';
import { openReadPass } from '../blobs/read-pass';
import { buildPayouts } from '../chain/acts/payouts';
import { watchChain } from '../chain/reading/poll-loop';
import type { Chain } from '../chain/rpc/client';
import type { VerifierConfig } from '../config/roles/verifier';
import { awaitsVerdict } from '../domain/job';
import { systemClock as clock } from '../lib/clock';
import { freeBytes } from '../lib/disk';
import { replayJob } from '../replay/replay';
import { openTrainers } from '../runner/trainers';
import { openStatements } from '../storage/client';
import type { JobRow } from '../store/jobs';
import type { CommonOptions } from '../terminal/options';
import type { JudgeDeps, JudgedReplay } from '../verifier/judge';
import type { SubmittedJob } from '../verifier/manifest-checks';
import { openVerifier } from '../verifier/verifier';
import { openNamedBase } from './base-opener';
import { blobReaderOf } from './blob-reader';
import { applyEvents } from './chain-follower';
import { describeSubmitted, findSubmission } from './chain-job';
import { findDrawSeed } from './draw-seed';
import { DueJobs } from './due-jobs';
import { keepEvidence } from './evidence-files';
import { hubOf } from './hub-place';
import { jobSources } from './job-sources';
import { openSigningRole } from './open-role';
import { placesOf } from './places';
import { publish } from './publish';
import { replayDeps } from './replay-deps';
import { threadsOf } from './role-settings';
import { untilAllEnd } from './until-all-end';
import { verdictDeps } from './verdicts';

/** Runs a verifier until Ctrl-C: opens everything top to bottom, closes it in reverse. */
export async function runVerifier(options: CommonOptions): Promise<void> {
  await using role = await openSigningRole('verifier', options);
  const { config, dataDir, logger, lock, stop, signal, chain, finality, wallet, store, sender, emeth } = role;
  const { storageApi } = config;
  const trainers = await openTrainers({ ...config, dir: dataDir }, logger);
  const blobs = new BlobStore(join(dataDir, 'blobs'));
  const bases = openBases(config, dataDir, blobs);
  const hub = hubOf(config);
  const places = placesOf(config);
  const rules = { ...places, maxBytes: config.maxDatasetBytes, allowFiles: false };
  const reader = blobReaderOf(wallet);
  const sources = jobSources(places, reader);

  const verifier = openVerifier(
    { dataDir, tolerance: config.tolerance, evidenceMs: config.evidenceMs },
    {
      path: (sha256) => blobs.path(sha256),
      fetch: (sha256, maxBytes, job) => sources(job).download(sha256, blobs, maxBytes, { signal }),
      fetchDataset: (reference, { jobId }) =>
        fetchDataset(reference, blobs, rules, { signal, pass: openReadPass(jobId, reader) }),
      openBase: (base, job) => openNamedBase(base, { bases, blobs, storage: sources(job), hub, signal }),
      drawSeed: (job) => findDrawSeed(job.submitBlock, { chain, finality, clock, signal }),
      replay: (judged, job) =>
        replayHere(config, judged, { storage: sources(job), blobs, trainers, clock, logger, signal }),
      payoutRoot: (shares) => buildPayouts(shares).root,
      ...verdictDeps({ chain, wallet, emeth, store, statements: openStatements(storageApi, signal), sources, signal }),
      keepEvidence: (jobId, evidence) =>
        keepEvidence(jobId, evidence, {
          ...{ dataDir, blobs, logger, signal },
          publish: (names) => publish(names, storageApi, { blobs, wallet, logger }, signal),
        }),
      // One result is judged at a time: once it is settled, nothing fetched for it is needed any more.
      forget: () => rm(blobs.dir, { recursive: true, force: true }),
      clock,
      logger,
      signal,
    },
  );
  logger.info('Verifier ready', { address: wallet.address, chainId: chain.chainId, storageApi });
  const cursorId = `${chain.chainId}:${chain.core}:verifier`;
  const due = new DueJobs({
    async handOn(jobId) {
      const row = await store.jobs.find(jobId);
      const job = row && (await describeSubmission(chain, row));
      if (job) verifier.onSubmitted(job);
    },
    logger,
  });
  // Results that were submitted but not judged when this verifier last stopped.
  for (const { id } of await store.jobs.list({ chainStates: ['SUBMITTED', 'DISPUTED'] })) due.add(id);
  const watching = watchChain(
    { ...finality, pollMs: config.pollMs, fromBlock: config.fromBlock },
    {
      chain,
      clock,
      logger,
      loadCursors: () => store.cursors.findPair(cursorId),
      async onFinal(events, cursor) {
        await store.transaction(async (tx) => {
          await applyEvents(tx, events);
          await tx.cursors.save(cursorId, cursor);
        });
        for (const event of events)
          if (event.type === 'JobSubmitted' || event.type === 'JobChallenged') due.add(event.jobId);
      },
      onRead: () => due.look(),
    },
    signal,
  );
  await untilAllEnd([verifier.run(), watching, sender.keep(), lock.keep(signal)], stop);
  logger.info('Verifier stopped');
}

function openBases({ baseCacheBytes: maxBytes }: VerifierConfig, dataDir: string, blobs: BlobStore): BaseCache {
  return new BaseCache({ root: join(dataDir, 'bases'), maxBytes, blobs, freeBytes: () => freeBytes(dataDir) });
}

/** Reads a submitted job from the chain; undefined when it no longer awaits a verdict. */
async function describeSubmission(chain: Chain, row: JobRow): Promise<SubmittedJob | undefined> {
  const submitted = await findSubmission(chain, row.id);
  if (!submitted || !awaitsVerdict((await chain.job(row.id)).state)) return undefined;
  return describeSubmitted(chain, row, submitted);
}

/** Repeats a job in Python children of its own. */
async function replayHere(
  config: VerifierConfig,
  job: JudgedReplay,
  sources: Parameters<typeof replayDeps>[0],
): ReturnType<JudgeDeps['replay']> {
  const { device, maxDatasetBytes } = config;
  const { jobId } = job.manifest;
  return replayJob(
    {
      ...job,
      device,
      threads: threadsOf(config),
      maxDatasetBytes,
      redoAtOnce: false,
    },
    {
      ...replayDeps(sources),
      onProgress(progress) {
        if (progress.step === 'lease') sources.logger.info('Lease done again', { jobId, ...progress.lease });
        else sources.logger.debug('Repeating the job', { jobId, ...progress });
      },
    },
  );
}

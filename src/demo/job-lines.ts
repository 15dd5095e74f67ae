/** A running job as the demo shows it: a progress bar with its figures, then one line per worker. */
import pc from 'picocolors';
import type { JobDetails } from '../protocol/admin';

const BAR_WIDTH = 28;

/** Returns the lines; the first alone says enough where only one is shown. */
export function renderJob(job: JobDetails): string[] {
  return [renderProgress(job), ...job.workers.map(renderWorker)];
}

function renderProgress(job: JobDetails): string {
  const { progress } = job;
  if (!progress) return `  ${job.state}`;
  const part = progress.mergedBlocks / progress.totalBlocks;
  const full = Math.round(part * BAR_WIDTH);
  const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
  const facts = [
    `round ${progress.round}`,
    `loss ${figure(progress.loss)}`,
    `val ${figure(progress.validationLoss)}`,
    `${Math.round(progress.tokensPerSecond).toLocaleString('en')} tok/s`,
    `ETA ${eta(progress.etaSeconds)}`,
  ];
  return `  ${bar} ${Math.floor(part * 100)
    .toString()
    .padStart(3)}%  ${facts.join('  ')}`;
}

function renderWorker(worker: JobDetails['workers'][number]): string {
  const name = pc.cyan(`${worker.address.slice(0, 8)}…`);
  if (!worker.connected) return `  ${name}  ${pc.yellow('away')}`;
  const used = worker.utilisation === undefined ? '' : `  trains ${Math.round(100 * worker.utilisation)} % of its time`;
  if (worker.steps === undefined) return `  ${name}  ${pc.dim('waiting')}${used}`;
  return `  ${name}  step ${worker.step}/${worker.steps}  loss ${figure(worker.loss)}  ${Math.round(worker.tokensPerSecond ?? 0).toLocaleString('en')} tok/s${used}`;
}

function figure(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : value.toFixed(3);
}

function eta(seconds: number | undefined): string {
  if (seconds === undefined) return '–';
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m${(seconds % 60).toString().padStart(2, '0')}s` : `${seconds}s`;
}

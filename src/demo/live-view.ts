import pc from 'picocolors';
import type { JobDetails } from '../protocol/admin';

/** Lines that redraw in place on a terminal, and a plain line now and then elsewhere. */
export interface LiveView {
  show(job: JobDetails): void;
  /** Leaves what was drawn and goes on below it. */
  end(): void;
}

const BAR_WIDTH = 28;
const PLAIN_EVERY_MS = 10_000;

/** Opens the view on `out`, usually stderr: stdout is for data. */
export function openLiveView(out: NodeJS.WriteStream): LiveView {
  let drawn = 0;
  let lastPlainMs = 0;
  return {
    show(job) {
      const lines = renderJob(job);
      if (!out.isTTY) {
        if (Date.now() - lastPlainMs < PLAIN_EVERY_MS) return;
        lastPlainMs = Date.now();
        out.write(`${lines[0]}\n`);
        return;
      }
      const width = out.columns || 100;
      if (drawn > 0) out.write(`\x1b[${drawn}A`);
      out.write(`\x1b[J${lines.map((line) => clip(line, width)).join('\n')}\n`);
      drawn = lines.length;
    },
    end() {
      drawn = 0;
    },
  };
}

/** The bar, then one line per worker. */
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
  if (worker.steps === undefined) return `  ${name}  ${pc.dim('waiting')}`;
  return `  ${name}  step ${worker.step}/${worker.steps}  loss ${figure(worker.loss)}  ${Math.round(worker.tokensPerSecond ?? 0).toLocaleString('en')} tok/s`;
}

function figure(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? '–' : value.toFixed(3);
}

function eta(seconds: number | undefined): string {
  if (seconds === undefined) return '–';
  return seconds >= 60 ? `${Math.floor(seconds / 60)}m${(seconds % 60).toString().padStart(2, '0')}s` : `${seconds}s`;
}

/** Cuts a line to the terminal's width without counting colour codes. */
function clip(line: string, width: number): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes are control characters
  const visible = line.replace(/\x1b\[[0-9;]*m/g, '');
  return visible.length <= width ? line : visible.slice(0, width - 1);
}

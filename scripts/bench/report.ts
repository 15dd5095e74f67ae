/** The form in which every benchmark says what it found: ours beside theirs, as one JSON on stdout. */
import { cpus } from 'node:os';
import { z } from 'zod';

const Bar = /^([≤≥]) (\d+(?:\.\d+)?)(?:\/(\d+))?$/;

const Row = {
  name: z.string(),
  /** What the ratio should be: `≥ 0.97`, `≤ 2.5`, `≤ 1/30`; empty where it is only told. */
  bar: z.string().refine((bar) => bar === '' || Bar.test(bar)),
  /** Ours ÷ theirs, or the median of such ratios where both were measured in pairs. */
  ratio: z.number(),
  ours: z.number(),
  theirs: z.number(),
  /** Of ours and theirs. */
  unit: z.string(),
};
const BenchRow = z.looseObject(Row);
export type BenchRow = z.infer<typeof BenchRow>;
type Sides = Omit<z.infer<z.ZodObject<typeof Row>>, 'ratio'> & { ratio?: number };

export const BenchReport = z.looseObject({ machine: z.string(), date: z.string(), rows: z.array(BenchRow) });
export type BenchReport = z.infer<typeof BenchReport>;

/** Makes a row; its ratio is ours ÷ theirs unless pairs gave a better one. */
export function rowOf(sides: Sides, more: Record<string, unknown> = {}): BenchRow {
  return BenchRow.parse({ ratio: sides.ours / sides.theirs, ...sides, ...more });
}

/** Prints the report on stdout, and its rows as a table on stderr. */
export function printReport(rows: readonly BenchRow[], facts: Record<string, unknown> = {}): void {
  const report = { machine: machine(), date: new Date().toISOString().slice(0, 10), ...facts, rows };
  tell(tableOf(rows));
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** Returns whether a row reaches its bar; one without a bar does. */
export function isMet({ bar, ratio }: BenchRow): boolean {
  const [, sign, value, divisor = '1'] = Bar.exec(bar) ?? [];
  if (sign === undefined) return true;
  const limit = Number(value) / Number(divisor);
  return sign === '≤' ? ratio <= limit : ratio >= limit;
}

/** Rows as a table in Markdown, which a terminal shows well enough. */
export function tableOf(rows: readonly BenchRow[]): string {
  const cells = rows.map((row) => [
    row.name,
    row.bar,
    isMet(row) ? ratioText(row.ratio) : `**${ratioText(row.ratio)}**`,
    numberText(row.ours),
    numberText(row.theirs),
    row.unit,
  ]);
  const head = ['measure', 'bar', 'ratio', 'ours', 'theirs', 'unit'];
  return [head, head.map(() => '---'), ...cells].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** Says on stderr what is being done. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The middle one of some numbers, or the lower of two. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? Number.NaN;
}

function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}`;
}

function ratioText(ratio: number): string {
  return ratio > 0 && ratio < 0.1 ? `1/${numberText(1 / ratio)}` : numberText(ratio);
}

/** With as many digits as say something. */
function numberText(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : 3;
  return digits === 0 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(digits)));
}

/** The reference page of a job's parameters, written from their schema and the presets. */

import { presetNames, presets } from '../domain/presets';
import { innerRates, outerRates, roundSteps } from '../domain/usual-values';
import { type Kind, listParams, type Param, PerKind } from '../protocol/params-list';

/** Returns the page as Markdown. */
export function renderParams(): string {
  const rows = listParams()
    .filter(({ isGroup }) => !isGroup)
    .map(renderRow);
  return [
    head,
    '## All of them',
    '',
    '| parameter | type | default | meaning | of which jobs, if not of all |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    openHead,
    ...renderOpen(),
    '',
    presetHead,
    ...presetNames.flatMap(renderPreset),
  ].join('\n');
}

const head = `# Parameters of a job

<!-- Written by \`npm run docs\` from src/protocol/job-params.ts and presets.ts. Do not edit. -->

What a job trains is said in JSON: \`emeth request --params '{"epochs": 2}'\`, or \`--params @job.json\`. Everything has a default, so \`{}\` is a
job. An unknown key is an error, with the key that was probably meant. Numbers are checked one by one and together: what no master would take is
refused by \`emeth request\` before anything is uploaded or paid.

## The three jobs people bring

| job | command |
|---|---|
| an adapter for a chat model, from tickets in JSONL | \`emeth request --preset chat-lora --base hf:HuggingFaceTB/SmolLM2-135M-Instruct --dataset tickets.jsonl --fee 20emt\` |
| continue pre-training of a model on text | \`emeth request --preset continue-pretraining --base hf:openai-community/gpt2-medium --dataset book.txt --fee 50emt\` |
| a small model of your own, from scratch | \`emeth request --preset small-llama --dataset book.txt --fee 20emt\` |

A base is a directory of \`config.json\`, safetensors and a tokenizer: one of the hub (\`hf:<organisation>/<name>[@<revision>]\`), or one of
yours, which \`emeth put DIR\` uploads and names (\`sha256:…\`). Pickled weights (\`.bin\`, \`.pt\`) and code in the repository are never opened.
\`--dry-run\` shows what a request comes to, with the first example of chat data as the model will see it.
`;

const openHead = `## Values that depend on the job

These may be left open. The node that takes the job then settles them when it plans it, by the kind of job, its blocks (inner steps of
all workers together) and the workers that are idle: a worker's blocks are blocks ÷ workers. The first row that a job fits counts.
\`emeth request --dry-run\` says what they come to with two workers, \`emeth job\` what they came to.

| parameter | of which jobs | value |
|---|---|---|`;

/** Where a job's own size decides, and not its kind alone. */
const OPEN: ReadonlySet<string> = new Set(['round.steps', 'inner.lr', 'inner.muonLr', 'outer.lr', 'outer.momentum']);

function renderOpen(): string[] {
  const inner = Object.entries(innerRates).flatMap(([kind, byOptimiser]) =>
    Object.entries(byOptimiser).flatMap(([optimiser, { lr, muonLr }]) => {
      const of = [KINDS[kind as Kind], optimiser];
      return [openRow('inner.lr', of, lr), ...(optimiser === 'muon' ? [openRow('inner.muonLr', of, muonLr)] : [])];
    }),
  );
  const steps = Object.entries(roundSteps).flatMap(([kind, rows]) =>
    rows.map(({ upTo, steps }) => openRow('round.steps', [KINDS[kind as Kind], bound(upTo, 'blocks a worker')], steps)),
  );
  const outer = Object.entries(outerRates).map(([name, value]) => openRow(`outer.${name}`, ['all'], value));
  return [...steps, ...inner, ...outer];
}

function openRow(path: string, of: readonly string[], value: number): string {
  return `| \`${path}\` | ${of.filter((part) => part !== '').join(', ')} | \`${value}\` |`;
}

function bound(upTo: number, what: string): string {
  return Number.isFinite(upTo) ? `up to ${upTo.toLocaleString('en')} ${what}` : '';
}

const presetHead = `## Presets

\`--preset NAME\` stands for these parameters. What \`--params\`, \`--base\` and \`--tune\` say beside it counts instead.
`;

function renderPreset(name: (typeof presetNames)[number]): string[] {
  const { about, needsBase, params } = presets[name];
  const base = needsBase ? ' Needs `--base`.' : '';
  return [`### ${name}`, '', `For ${about}.${base}`, '', '```json', JSON.stringify(params, null, 2), '```', ''];
}

const KINDS: Readonly<Record<Kind, string>> = { none: 'from scratch', full: 'full', lora: 'lora' };

function renderRow(param: Param): string {
  const { path, type, description, kinds } = param;
  const ofAll = kinds.length === Object.keys(KINDS).length;
  const jobs = ofAll ? '' : kinds.map((kind) => KINDS[kind]).join(', ');
  const cells = [`\`${path}\``, type, showDefault(param), description, jobs];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function showDefault({ path, isRequired, default: value }: Param): string {
  if (path === 'tune') return '`"none"`';
  if (OPEN.has(path)) return '[by the job](#values-that-depend-on-the-job)';
  if (isRequired) return '**required**';
  if (value === undefined) return '';
  if (value instanceof PerKind) return value.values.map(([kind, one]) => `${KINDS[kind]}: ${code(one)}`).join(', ');
  return code(value);
}

function code(value: unknown): string {
  return `\`${JSON.stringify(value)}\``;
}

/** The reference page of all settings. */
import { listSettings, type Setting } from './describe';
import { variableOf } from './env';
import type { Role } from './schema';

const titles: Record<Role, string> = {
  master: 'Master (`config/master.json`)',
  worker: 'Worker (`config/worker.json`)',
  verifier: 'Verifier (`config/verifier.json`)',
  client: 'Requester (`config/client.json`)',
  board: 'Board (`config/board.json`)',
  storage: 'Storage (`config/storage.json`)',
};

/** Returns the page as Markdown. */
export function renderReference(): string {
  const sections = (Object.keys(titles) as Role[]).map(renderRole);
  return `${head}\n${sections.join('\n')}`;
}

const head = `# Configuration

<!-- Written by \`npm run docs\` from src/config/roles. Do not edit. -->

Every role reads one file: \`--config FILE\`, or \`config/<role>.json\`. It is JSON in which comments and trailing commas are
allowed; \`emeth init <role>\` writes one with everything explained. An unknown key is an error, so a misspelt setting never
goes unnoticed. Commands of a requester (\`request\`, \`result\`, \`withdraw\` …) and the board also read the file of any other role.

Each setting can be overridden by the environment variable in its row, e.g. \`EMETH__EXTERNAL_DB__PORT=3307\`; lists are
separated by commas. File paths in a configuration are relative to the configuration. Amounts are strings of digits, in wei:
1 EMT is \`"1000000000000000000"\`.

The account of every role but the board (a storage needs one only where it copies from others) comes from exactly one of \`privateKeyFile\`, \`keystore\` with \`passwordFile\`, or \`privateKey\`. Files that hold a
secret must be readable by their owner alone (\`chmod 600\`); others are refused, except as container platforms mount them: below \`/run/secrets\`, or
owned by somebody else and read through the group.
`;

function renderRole(role: Role): string {
  const rows = listSettings(role).map(renderRow);
  return [
    `## ${titles[role]}`,
    '',
    '| setting | type | default | meaning | variable |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function renderRow(setting: Setting): string {
  const cells = [
    `\`${setting.path.join('.')}\``,
    setting.type,
    showDefault(setting),
    setting.description,
    `\`${variableOf(setting.path)}\``,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function showDefault(setting: Setting): string {
  if (setting.isRequired) return '**required**';
  if (setting.default === undefined || setting.isGroup) return '';
  return `\`${JSON.stringify(setting.default)}\``;
}

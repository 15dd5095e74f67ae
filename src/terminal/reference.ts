import type { Command } from 'commander';

const head = `# Commands

<!-- Written by \`npm run docs\` from src/cli.ts. Do not edit. -->

\`node dist/cli.js <command>\`, or \`emeth <command>\` where the package is installed. Data goes to stdout, talk and errors to
stderr. With \`--json\`, errors are one JSON object \`{"error": {"code", "message"}}\`.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage or configuration |
| 3 | not found |
| 4 | not allowed |
| 5 | the chain refused, or cannot be reached |
| 130 | stopped by Ctrl-C or a signal before it was done |
`;

/** The page of all commands, as Markdown: what \`--help\` shows. */
export function renderCommands(program: Command): string {
  const sections = program.commands.map((command) => `## ${command.name()}\n\n\`\`\`\n${helpOf(command)}\n\`\`\`\n`);
  return [head, ...sections].join('\n');
}

function helpOf(command: Command): string {
  let text = '';
  // Fixed width: the page must not depend on the terminal it was made in. `outputHelp` includes the example, `helpInformation` does not.
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 110 });
  command.outputHelp();
  return text.trim();
}

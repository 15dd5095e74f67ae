/** The page of all commands, written from what their `--help` shows. */
import type { Command } from 'commander';

const head = `# Commands

<!-- Written by \`npm run docs\` from src/cli.ts. Do not edit. -->

\`node dist/cli.js <command>\`, or \`emeth <command>\` where the package is installed. Data goes to stdout, messages and errors to
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

/** Returns the page as Markdown, in the order and under the headings of the program's own help. */
export function renderCommands(program: Command): string {
  const headings = [...new Set(program.commands.map((command) => command.helpGroup()))];
  const groups = headings.map((heading) => {
    const commands = program.commands.filter((command) => command.helpGroup() === heading);
    return [`## ${heading.replace(/:$/, '')}\n`, ...commands.map(renderCommand)].join('\n');
  });
  return [head, ...groups].join('\n');
}

function renderCommand(command: Command): string {
  return `### ${command.name()}\n\n\`\`\`\n${helpOf(command)}\n\`\`\`\n`;
}

function helpOf(command: Command): string {
  let text = '';
  // A fixed width, so that the page does not depend on the terminal it is made in. `outputHelp` includes the
  // example, `helpInformation` does not.
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 110 });
  command.outputHelp();
  return text.trim();
}

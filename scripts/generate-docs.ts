/** `npm run docs`: writes the generated pages and examples; `test/unit/config/docs.test.ts` compares them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildProgram } from '../src/cli';
import { renderReference } from '../src/config/reference';
import { exampleValues, renderConfig } from '../src/config/template';
import { renderParams } from '../src/terminal/params-reference';
import { renderCommands } from '../src/terminal/reference';

const root = join(__dirname, '..');
writeFileSync(join(root, 'docs', 'configuration.md'), renderReference());
writeFileSync(join(root, 'docs', 'params.md'), renderParams());
writeFileSync(join(root, 'docs', 'commands.md'), renderCommands(buildProgram()));
for (const role of ['master', 'worker', 'verifier', 'client', 'board', 'storage'] as const) {
  writeFileSync(join(root, 'config', `${role}.example.json`), renderConfig(role, exampleValues(role)));
}

/**
 * Writes down what the lock file brings, for the check that nothing grows unseen. Look at every package that
 * is new before you commit the list.
 *
 *     npm run record:packages
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFacts } from '../test/support/packages';

const root = join(__dirname, '..');
writeFileSync(join(root, 'test', 'unit', 'house', 'packages.json'), `${JSON.stringify(packageFacts(root), null, 2)}\n`);

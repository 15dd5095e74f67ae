/** Base models that transformers makes on the spot: real architectures with a few thousand random weights. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { realPython } from './tiny-job';

const MAKE = `
import sys
from pathlib import Path
from tests.bases import make_base
for kind in sys.argv[2:]:
    directory = Path(sys.argv[1], kind)
    directory.mkdir(parents=True)
    make_base(kind, directory)
`;

/** Makes a directory below `dir` for each kind that `python/tests/bases.py` knows; all in one process. */
export async function makeBases(dir: string, ...kinds: string[]): Promise<void> {
  const env = { ...process.env, PYTHONPATH: join(__dirname, '..', '..', 'python') };
  await promisify(execFile)(realPython, ['-c', MAKE, dir, ...kinds], { env });
}

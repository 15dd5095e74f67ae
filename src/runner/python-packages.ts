/** Whether the packages that Python children import are there, in the versions that they are tested with. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { AppError, errorCode } from '../lib/errors';
import { pythonPackageDir } from './python';

export type PackagesError = { code: 'runner/no-packages'; path: string; reason: string };

/** A package of python/requirements.txt, as an interpreter finds it. */
const Found = z.object({
  name: z.string(),
  wanted: z.string(),
  /** Empty where it is not installed. */
  version: z.string(),
  isWanted: z.boolean(),
  /** Why it cannot be imported. */
  problem: z.string(),
});
export type FoundPackage = z.infer<typeof Found>;

/**
 * A package with machine code may be installed and yet not load, so these are imported. PyTorch takes
 * seconds for that; its builds for GPUs are loaded where devices are looked for.
 */
const PROBE = `
import importlib.metadata, importlib.util, json, sys
from packaging.requirements import Requirement
found = []
for line in open(sys.argv[1], encoding="utf-8"):
    if not line.strip():
        continue
    wanted = Requirement(line.strip())
    if wanted.marker and not wanted.marker.evaluate():
        continue
    facts = {"name": wanted.name, "wanted": str(wanted.specifier), "version": "", "isWanted": False, "problem": ""}
    try:
        package = importlib.metadata.distribution(wanted.name)
        facts["version"] = package.version
        facts["isWanted"] = wanted.specifier.contains(package.version)
        if importlib.util.find_spec(wanted.name) is None:
            facts["problem"] = "it is installed, and its module is not there"
        elif wanted.name != "torch" and "Root-Is-Purelib: true" not in (package.read_text("WHEEL") or ""):
            importlib.import_module(wanted.name)
    except Exception as error:
        facts["problem"] = str(error) or repr(error)
    found.append(facts)
print(json.dumps(found))
`;
const IMPORT_MS = 120_000;

/** Looks at each package of python/requirements.txt, and imports those with machine code. */
export async function listPackages(python: string): Promise<FoundPackage[]> {
  const requirements = join(pythonPackageDir, 'requirements.txt');
  const options = { timeout: IMPORT_MS };
  const { stdout } = await promisify(execFile)(python, ['-c', PROBE, requirements], options).catch((cause) => {
    const reason = (cause as { stderr?: string }).stderr?.trim().split('\n').at(-1) || errorCode(cause);
    throw new AppError<PackagesError>(
      { code: 'runner/no-packages', path: python, reason },
      `${python} cannot list its packages (${reason}).`,
      { cause },
    );
  });
  return z.array(Found).parse(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''));
}

/** The benchmarks that end with a report, by name: each is `npm run bench:<name>`. */

/** By name: the arguments for a quick run, or `slow` where there is none. */
export const BENCHMARKS: Readonly<Record<string, readonly string[] | 'slow'>> = {
  train: ['--short', '--pairs', '1', '--steps', '4'],
  fold: ['--parameters', '4e6', '--updates', '2', '8'],
  link: ['--mib', '64'],
  upload: ['--mib', '32'],
  'upload-memory': ['--mib', '8', '--many', '16'],
  s3: ['--mib', '16', '--runs', '1'],
  backfill: 'slow',
  idle: ['--workers', '500', '--seconds', '5'],
  doors: 'slow',
  sandbox: ['--rounds', '4', '--starts', '3'],
  lora: 'slow',
  home: ['--short', '--peer-steps', '2'],
  builds: 'slow',
};

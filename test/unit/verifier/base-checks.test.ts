/** What a manifest says of its base, against what was requested. */
import { buildPayouts } from '../../../src/chain/acts/payouts';
import type { Sha256 } from '../../../src/domain/ids';
import type { BaseRecord } from '../../../src/protocol/base';
import { Manifest } from '../../../src/protocol/manifest';
import { findBaseProblem } from '../../../src/verifier/base-checks';
import { findFlaw } from '../../../src/verifier/manifest-checks';
import { honestManifest, submittedJob } from '../../support/manifest';
import { plannedParams } from '../../support/planned-params';

const [list, other] = ['1a'.repeat(32), '1b'.repeat(32)] as [Sha256, Sha256];
const [commit, later] = ['2a'.repeat(20), '2b'.repeat(20)];
const size = { parameters: 1000, trainable: 100, baseBytes: 5000, layers: 1, width: 16, hidden: 64 };
const record = (changes: Partial<BaseRecord> = {}): BaseRecord => ({
  reference: `sha256:${list}`,
  list,
  size,
  ...changes,
});
const params = (base?: string) =>
  plannedParams({ ...(base === undefined ? {} : { tune: 'lora', base }), epochs: 1, batch: 4 });

test.each<[string, string | undefined, BaseRecord | undefined]>([
  ['no base', undefined, undefined],
  ['a file list', `sha256:${list}`, record()],
  [
    'a list with its storage',
    `sha256:${list}@https://a.example/api/v1`,
    record({ reference: `sha256:${list}@https://a.example/api/v1` }),
  ],
  ['a branch, pinned', 'hf:org/name@main', record({ reference: 'hf:org/name@main', commit })],
  ['a hub without a revision, pinned', 'hf:org/name', record({ reference: 'hf:org/name', commit })],
  ['a commit', `hf:org/name@${commit}`, record({ reference: `hf:org/name@${commit}`, commit })],
])('%s: as requested', (_what, asked, base) => {
  expect(findBaseProblem({ params: params(asked), base })).toBeUndefined();
});

test.each<[string, string | undefined, BaseRecord | undefined, string]>([
  ['base where none was asked for', undefined, record(), 'the job has none'],
  ['no base where one was', `sha256:${list}`, undefined, 'not named'],
  ['another reference', `sha256:${list}`, record({ reference: `sha256:${other}` }), 'not the one requested'],
  ['other files', `sha256:${list}`, record({ list: other }), 'not those requested'],
  ['a list at a commit', `sha256:${list}`, record({ commit }), 'no hub'],
  ['hub without a commit', 'hf:org/name', record({ reference: 'hf:org/name' }), 'not pinned'],
  ['hub pinned to a branch', 'hf:org/name', record({ reference: 'hf:org/name', commit: 'main' }), 'not pinned'],
  [
    'another commit',
    `hf:org/name@${commit}`,
    record({ reference: `hf:org/name@${commit}`, commit: later }),
    'another commit',
  ],
])('%s: found', (_what, asked, base, problem) => {
  expect(findBaseProblem({ params: params(asked), base })).toContain(problem);
});

test('manifest with a false base: a flaw of its own', () => {
  const claimed = { ...honestManifest(), base: record() };
  const flaw = findFlaw(Manifest.parse(claimed), submittedJob(claimed), (shares) => buildPayouts(shares).root);
  expect(flaw?.code).toBe('verdict/base');
});

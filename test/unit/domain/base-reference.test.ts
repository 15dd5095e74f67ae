/** References to bases: what is one, what only looks like one, and how one is pinned. */
import { isCommit, parseBaseReference, pinHubReference } from '../../../src/domain/base-reference';

const commit = 'a1'.repeat(20);

test.each([
  ['hf:rinna/japanese-gpt2-medium', { kind: 'hub', repo: 'rinna/japanese-gpt2-medium' }],
  ['hf:Qwen/Qwen2.5-0.5B@v1.0', { kind: 'hub', repo: 'Qwen/Qwen2.5-0.5B', revision: 'v1.0' }],
  ['hf:a/b@refs/pr/1', { kind: 'hub', repo: 'a/b', revision: 'refs/pr/1' }],
  [`hf:a/b@${commit}`, { kind: 'hub', repo: 'a/b', revision: commit }],
  [
    `sha256:${'0f'.repeat(32)}@https://a.example/api/v1`,
    { kind: 'list', sha256: '0f'.repeat(32), locations: ['https://a.example/api/v1'] },
  ],
])('reference %s: parsed', (text, reference) => {
  expect(parseBaseReference(text)).toEqual(reference);
});

test.each([
  'gpt2',
  'hf:gpt2',
  'hf:a/b/c',
  'hf:/b',
  'hf:a/',
  'hf:../b',
  'hf:a/..',
  'hf:a/b..c',
  'hf:a/-b',
  'hf:a/b.',
  'hf:a/b@',
  'hf:a/b@..',
  'hf:a/b@main/../../x',
  'hf:a/b@/main',
  'hf:a/b@x@y',
  'hf:a/b?x',
  'hf:a/b#x',
  'hf:a/b@%2e%2e',
  'hf:a b/c',
  'HF:a/b',
  `hf:${'a'.repeat(97)}/b`,
  `hf:a/b@${'x'.repeat(121)}`,
  'https://huggingface.co/a/b',
  'sha256:12',
])('reference %s: none', (text) => {
  expect(parseBaseReference(text)).toBeUndefined();
});

test('pinned reference: names its commit', () => {
  const pinned = pinHubReference({ repo: 'a/b' }, commit);
  expect(parseBaseReference(pinned)).toEqual({ kind: 'hub', repo: 'a/b', revision: commit });
  expect([isCommit(commit), isCommit('main'), isCommit(undefined)]).toEqual([true, false, false]);
});

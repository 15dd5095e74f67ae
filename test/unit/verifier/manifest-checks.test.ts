/** The checks of a manifest: every false claim is found, and an honest manifest has no flaw. */
import fc from 'fast-check';
import { buildPayouts } from '../../../src/chain/acts/payouts';
import { earnedWei } from '../../../src/domain/fuel';
import { Address } from '../../../src/domain/ids';
import { shareOut } from '../../../src/domain/shares';
import { canonicalJson, sha256 } from '../../../src/lib/hash';
import type { ManifestIn } from '../../../src/protocol/manifest';
import { findFlaw, readManifest, type SubmittedJob } from '../../../src/verifier/manifest-checks';
import { honestManifest, submittedJob } from '../../support/manifest';

const rootOf: Parameters<typeof findFlaw>[2] = (shares) => buildPayouts(shares).root;

/** What is wrong with a manifest, given what the chain says; undefined for nothing. */
function check(manifest: unknown, job: SubmittedJob = submittedJob(manifest)): string | undefined {
  const read = readManifest(Buffer.from(canonicalJson(manifest)), job);
  return 'code' in read ? read.code : findFlaw(read, job, rootOf)?.code;
}

/** The honest manifest with a change; its payout root is made to fit the changed payouts. */
function changed(change: (manifest: ManifestIn) => void): ManifestIn {
  const manifest = structuredClone(honestManifest());
  change(manifest);
  const shares = manifest.payouts.map((share) => ({
    ...share,
    worker: Address.parse(share.worker),
    amountWei: BigInt(share.amountWei),
  }));
  if (shares.length > 0) manifest.payoutRoot = buildPayouts(shares).root;
  return manifest;
}

const other = (byte: string) => `0x${byte.repeat(20)}`;
const leases = (manifest: ManifestIn) => manifest.rounds.flatMap((round) => round.leases);

/** An audit by somebody without a lease; the lease at 6 was not drawn. */
const audit = (round: number, start: number, auditor = other('1a')): ManifestIn['audits'][number] => {
  const tokens = start === 0 ? 256 : 192;
  return { round, start, auditor, update: sha256('again'), tokens, distance: 0, outcome: 'equal' };
};
const auditFirst = (m: ManifestIn, auditor?: string) => {
  m.missedAudits = m.missedAudits.filter(({ start }) => start !== 0);
  m.audits.push(audit(0, 0, auditor));
};
/** Two others found something else in the first lease. */
const refute = (m: ManifestIn) => {
  m.missedAudits = m.missedAudits.filter(({ start }) => start !== 0);
  for (const byte of ['1a', '1b']) m.audits.push({ ...audit(0, 0, other(byte)), distance: 1, outcome: 'different' });
};

describe('a part of the blocks', () => {
  const { feeWei, fuelLimit, params } = submittedJob();
  const asked = (partial: boolean) => JSON.stringify({ ...JSON.parse(params), partial });
  /** The flaw of a manifest without its last round, paid for the rest, when the requester asked so. */
  const judge = (partial: boolean, change: (m: ManifestIn) => void = () => undefined) => {
    const manifest = changed((m) => {
      m.params.partial = partial;
      const last = m.rounds.pop()!;
      m.missedAudits = m.missedAudits.filter(({ round }) => round !== last.round);
      m.model = m.model.map((file) => (file.name === 'model.safetensors' ? { ...file, sha256: last.theta } : file));
      m.fuelUsed = leases(m).reduce((sum, { tokens }) => sum + tokens, 0);
      const tokens = new Map(leases(m).map((lease) => [Address.parse(lease.worker), lease.tokens]));
      const payoutWei = earnedWei(feeWei, BigInt(m.fuelUsed), fuelLimit);
      const shares = shareOut({ payoutWei, node: Address.parse(m.node), commissionBps: 1000, tokens });
      m.payouts = shares.map((share) => ({ ...share, amountWei: share.amountWei.toString() }));
      change(m);
    });
    const job = { ...submittedJob(manifest), params: asked(partial), fuelUsed: BigInt(manifest.fuelUsed) };
    return check(manifest, job);
  };

  test('requester takes a part: no flaw', () => {
    expect(judge(true)).toBeUndefined();
  });

  test('requester wants the whole: a flaw', () => {
    expect(judge(false)).toBe('verdict/ledger');
  });

  test.each<[string, (m: ManifestIn) => void]>([
    ['a block twice', (m) => Object.assign(leases(m)[1]!, { start: 3, end: 5 })],
    ['a block beyond the job', (m) => Object.assign(leases(m)[1]!, { start: 9, end: 11 })],
    ['tokens of more blocks', (m) => Object.assign(leases(m)[1]!, { end: 5 })],
  ])('requester takes a part, and %s is claimed: a flaw', (_claim, change) => {
    expect(judge(true, change)).toBe('verdict/ledger');
  });
});

test('honest manifest: no flaw', () => {
  expect(check(honestManifest())).toBeUndefined();
});

test('audits, a refuted worker, pay by tokens of work and audits: no flaw', () => {
  const manifest = changed((m) => {
    refute(m);
    for (const lease of leases(m)) lease.isRefuted = lease.worker === leases(m)[0]!.worker;
    const tokens = new Map([
      [Address.parse(m.payouts[2]!.worker), 192],
      [Address.parse(other('1a')), 256],
      [Address.parse(other('1b')), 256],
    ]);
    const payoutWei = m.payouts.reduce((sum, { amountWei }) => sum + BigInt(amountWei), 0n);
    const shares = shareOut({ payoutWei, node: Address.parse(m.node), commissionBps: 1000, tokens });
    m.payouts = shares.map((share) => ({ ...share, amountWei: share.amountWei.toString() }));
  });
  expect(check(manifest)).toBeUndefined();
});

describe('readManifest', () => {
  const job = submittedJob();
  const bytes = Buffer.from(canonicalJson(honestManifest()));

  test('other bytes: verdict/manifest-hash', () => {
    expect(readManifest(Buffer.concat([bytes, Buffer.from(' ')]), job)).toMatchObject({
      code: 'verdict/manifest-hash',
    });
  });

  test.each([
    ['no JSON', 'not JSON'],
    ['no object', '5'],
    ['spaces in it', JSON.stringify(honestManifest(), undefined, 1)],
    ['members in another order', JSON.stringify(honestManifest())],
    ['an upper-case name', bytes.toString().replace(/"dataRoot":"[0-9a-f]+"/, (text) => text.toUpperCase())],
    ['an unknown member', bytes.toString().replace('{', '{"a":1,')],
    ['a member twice', bytes.toString().replace('{', '{"chainId":1,')],
  ])('%s: verdict/manifest-format', (_name, text) => {
    const result = readManifest(Buffer.from(text), { ...job, resultHash: `0x${sha256(text)}` });
    expect(result).toMatchObject({ code: 'verdict/manifest-format' });
  });
});

test.each<[string, string, (manifest: ManifestIn) => void]>([
  ['verdict/wrong-job', 'chain', (m) => (m.chainId = 1)],
  ['verdict/wrong-job', 'contract', (m) => (m.contract = other('ff'))],
  ['verdict/wrong-job', 'job', (m) => (m.jobId = `0x${'ff'.repeat(16)}`)],
  ['verdict/wrong-job', 'node', (m) => (m.node = other('ff'))],
  ['verdict/wrong-job', 'reference', (m) => (m.dataset.reference = 'https://example.org/x')],
  ['verdict/wrong-job', 'data', (m) => (m.dataset.sha256 = sha256('x'))],
  ['verdict/wrong-params', 'an asked-for value', (m) => (m.params.batch = 5)],
  ['verdict/wrong-params', 'a smaller model', (m) => (m.params.model = { ...m.params.model, width: 32 })],
  ['verdict/wrong-params', 'a default', (m) => (m.params.seed = 7)],
  ['verdict/wrong-params', 'a nested default', (m) => (m.params.inner!.lr = 0.1)],
  ['verdict/wrong-params', 'the tokeniser', (m) => (m.params.tokenizer = { type: 'bpe', vocabSize: 300 })],
  ['verdict/ledger', 'fewer blocks than epochs', (m) => (m.totalBlocks = 9)],
  ['verdict/ledger', 'more epochs than blocks', (m) => (m.params.epochs = 2)],
  ['verdict/ledger', 'a hole', (m) => (leases(m)[1]!.start = 5)],
  ['verdict/ledger', 'an overlap', (m) => (leases(m)[1]!.start = 3)],
  ['verdict/ledger', 'a missing end', (m) => m.rounds[1]!.leases.shift()],
  ['verdict/ledger', 'a repetition', (m) => m.rounds[1]!.leases.push(m.rounds[0]!.leases[0]!)],
  ['verdict/ledger', 'an inflated lease', (m) => (leases(m)[0]!.tokens += 1)],
  ['verdict/ledger', 'nothing done', (m) => (m.rounds = [])],
  ['verdict/theta-chain', 'other weights in between', (m) => (m.rounds[1]!.theta = sha256('x'))],
  ['verdict/theta-chain', 'rounds misnumbered', (m) => (m.rounds[1]!.round = 2)],
  ['verdict/theta-chain', 'other weights at the end', (m) => (m.rounds[1]!.nextTheta = sha256('x'))],
  ['verdict/theta-chain', 'another model', (m) => (m.model[1]!.sha256 = sha256('x'))],
  ['verdict/theta-chain', 'no model', (m) => m.model.pop()],
  ['verdict/fuel', 'more fuel than merged', (m) => (m.fuelUsed = 641)],
  [
    'verdict/payouts',
    'more than earned',
    (m) => (m.payouts[0]!.amountWei = String(BigInt(m.payouts[0]!.amountWei) + 1n)),
  ],
  ['verdict/audits', 'another seed', (m) => (m.auditSeed.seed = '5f'.repeat(32))],
  ['verdict/audits', 'a drawn lease passed over', (m) => m.missedAudits.shift()],
  ['verdict/audits', 'an audit of no lease', (m) => m.audits.push(audit(7, 0))],
  ['verdict/audits', 'an audit by the worker itself', (m) => m.audits.push(audit(0, 0, leases(m)[0]!.worker))],
  ['verdict/audits', 'an audit of more tokens', (m) => m.audits.push({ ...audit(0, 0), tokens: 257 })],
  ['verdict/audits', 'an audit twice', (m) => m.audits.push(audit(1, 6), audit(1, 6))],
  ['verdict/audits', 'an audit done and missed', (m) => m.audits.push(audit(0, 0))],
  ['verdict/audits', 'an ordinal twice', (m) => (leases(m)[3]!.ordinal = leases(m)[0]!.ordinal)],
  ['verdict/audits', 'an unpaid lease nobody refuted', (m) => (leases(m)[0]!.isRefuted = true)],
  ['verdict/audits', 'a refuted lease that is paid', (m) => refute(m)],
  ['verdict/payouts', 'an audit that is not paid', (m) => auditFirst(m)],
  ['verdict/payouts', 'less than earned', (m) => (m.payouts[0]!.amountWei = '0')],
  ['verdict/payouts', 'a worker left out', (m) => m.payouts.pop()],
  ['verdict/payouts', 'a stranger paid', (m) => (m.payouts[2]!.worker = other('ff'))],
  ['verdict/payouts', 'one worker twice', (m) => Object.assign(m.payouts[2]!, { ...m.payouts[1]!, index: 2 })],
  ['verdict/payouts', 'other tokens', (m) => (m.payouts[2]!.tokens += 1)],
  ['verdict/payouts', 'misnumbered', (m) => (m.payouts[2]!.index = 3)],
  ['verdict/payouts', 'the commission to somebody else', (m) => (m.payouts[0]!.worker = other('ff'))],
  [
    'verdict/payouts',
    'one worker paid for the other',
    (m) => {
      m.payouts[1]!.amountWei = String(BigInt(m.payouts[1]!.amountWei) + 1000n);
      m.payouts[2]!.amountWei = String(BigInt(m.payouts[2]!.amountWei) - 1000n);
    },
  ],
  ['verdict/model-files', 'a directory for a file', (m) => m.model.push({ ...m.model[0]!, name: '..' })],
  ['verdict/model-files', 'a hidden file', (m) => m.model.push({ ...m.model[0]!, name: '.bashrc' })],
  ['verdict/model-files', 'code', (m) => m.model.push({ ...m.model[0]!, name: 'modeling_x.py' })],
  ['verdict/model-files', 'a pickle', (m) => m.model.push({ ...m.model[0]!, name: 'pytorch_model.bin' })],
  ['verdict/model-files', 'a name twice', (m) => m.model.push(m.model[0]!)],
  ['verdict/model-files', 'more than any disk holds', (m) => (m.model[0]!.bytes = 2 ** 40)],
  ['verdict/manifest-format', 'a path for a file', (m) => (m.model[0]!.name = '../config.json')],
  ['verdict/manifest-format', 'no loss', (m) => (m.validationLoss.end = Number.NaN)],
])('%s: %s', (code, _name, change) => {
  const manifest = changed(change);
  const job = submittedJob(manifest);
  expect(check(manifest, job)).toBe(code);
});

test.each<[string, string, Partial<SubmittedJob>]>([
  ['verdict/manifest-hash', 'another result', { resultHash: `0x${'00'.repeat(32)}` }],
  ['verdict/wrong-job', 'another payout root', { payoutRoot: `0x${'00'.repeat(32)}` }],
  ['verdict/fuel', 'more fuel', { fuelUsed: 641n }],
  ['verdict/fuel', 'a lower limit than used', { fuelLimit: 500n }],
  ['verdict/payouts', 'another fee', { feeWei: 5n }],
  ['verdict/wrong-params', 'params that are no JSON', { params: '{' }],
  ['verdict/wrong-params', 'params that are none', { params: '{"modle":{}}' }],
])('%s: the chain has %s', (code, _name, facts) => {
  expect(check(honestManifest(), { ...submittedJob(), ...facts })).toBe(code);
});

test('epochs and batch left open: the node may choose', () => {
  const { params, ...job } = submittedJob();
  const { batch: _batch, ...open } = JSON.parse(params);
  expect(check(honestManifest(), { ...job, params: JSON.stringify(open) })).toBeUndefined();
});

test('other values than are usual: the flaw says which', () => {
  const manifest = changed(({ params }) => {
    params.outer.momentum = 0.7;
  });
  const { params, ...job } = submittedJob(manifest);
  const { outer: _, ...open } = JSON.parse(params);
  const read = readManifest(Buffer.from(canonicalJson(manifest)), { ...job, params });
  if ('code' in read) throw new Error(read.reason);
  const flaw = findFlaw(read, { ...job, params: JSON.stringify(open) }, rootOf);
  expect(flaw?.reason).toContain('"outer":{"lr":1,"momentum":0.7}');
});

test('codec left to the node: one that is thin and learns is accepted', () => {
  const checkWith = (codec: 'int2' | 'sparse') => {
    const manifest = changed(({ params }) => {
      params.codec = codec;
    });
    const { params, ...job } = submittedJob(manifest);
    return check(manifest, { ...job, params: JSON.stringify({ ...JSON.parse(params), codec: 'auto' }) });
  };
  expect(checkWith('int2')).toBeUndefined();
  expect(checkWith('sparse')).toBe('verdict/wrong-params');
});

test('any fee, tokens and commission: equal pay per token is accepted', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 10n ** 24n }),
      fc.integer({ min: 0, max: 10_000 }),
      fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 12 }),
      (feeWei, commissionBps, blocks) => {
        const manifest = structuredClone(honestManifest());
        const workers = blocks.map((_, i) => Address.parse(`0x${(i + 1).toString(16).padStart(40, '0')}`));
        let start = 0;
        const [round] = manifest.rounds;
        const [lease] = round!.leases;
        round!.leases = blocks.map((count, i) => {
          const range = { start, end: start + count };
          start += count;
          return { ...lease!, ...range, worker: workers[i]!, tokens: count * 64 };
        });
        Object.assign(manifest, {
          rounds: [{ ...round!, nextTheta: manifest.rounds[1]!.nextTheta }],
          totalBlocks: start,
          // All leases here are the first of their workers, so all are drawn.
          missedAudits: round!.leases.map((own) => ({ round: 0, start: own.start })),
        });
        manifest.prepared.epochBlocks = start;
        manifest.fuelUsed = start * 64;
        const tokens = new Map(blocks.map((count, i) => [workers[i]!, count * 64]));
        const shares = shareOut({ payoutWei: feeWei, node: submittedJob().node, commissionBps, tokens });
        manifest.payouts = shares.map((share) => ({ ...share, amountWei: share.amountWei.toString() }));
        manifest.payoutRoot = buildPayouts(shares).root;
        const fuel = BigInt(manifest.fuelUsed);
        const job = { ...submittedJob(manifest), feeWei, fuelLimit: fuel, fuelUsed: fuel };
        expect(check(manifest, job)).toBeUndefined();
      },
    ),
    { numRuns: 100 },
  );
});

test('amount beyond a uint256: verdict/payouts', () => {
  const manifest = honestManifest();
  manifest.payouts[0]!.amountWei = '9'.repeat(78);
  expect(check(manifest)).toBe('verdict/payouts');
});

test('inflated tokens per block: verdict/ledger', () => {
  const manifest = honestManifest();
  manifest.prepared.blockTokens *= 10;
  expect(check(manifest)).toBe('verdict/ledger');
});

test('more than 100 model files: verdict/model-files', () => {
  const manifest = honestManifest();
  const [file] = manifest.model;
  manifest.model.push(...Array.from({ length: 100 }, (_, i) => ({ ...file!, name: `${i}.json` })));
  expect(check(manifest)).toBe('verdict/model-files');
});

test('JSON nested too deeply: verdict/manifest-format', () => {
  const text = canonicalJson(honestManifest());
  const depth = 50_000;
  const deep = text.replace('"vocabSize"', `"vocabA":${'['.repeat(depth)}${']'.repeat(depth)},"vocabSize"`);
  const job = { ...submittedJob(), resultHash: `0x${sha256(deep)}` };
  expect(readManifest(Buffer.from(deep), job)).toMatchObject({ code: 'verdict/manifest-format' });
});

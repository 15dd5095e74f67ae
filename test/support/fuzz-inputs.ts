/** Inputs for fuzzing: valid ones with something changed, removed, repeated or made absurd. */
import fc from 'fast-check';

/** Values that parsers of one kind or another have stumbled over. */
const ODD: readonly unknown[] = [
  null,
  true,
  '',
  ' ',
  0,
  -1,
  0.5,
  1e308,
  2 ** 53,
  '0x',
  `0x${'0'.repeat(40)}`,
  '../../etc/passwd',
  '__proto__',
  'constructor',
  '\u0000',
  '\ud800',
  '𝕏'.repeat(20),
  'a'.repeat(3000),
  '9'.repeat(400),
  [],
  {},
  [[]],
  { toString: 1 },
  Array.from({ length: 100 }, (_, i) => i),
];

const oddValue = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...ODD) },
  { weight: 1, arbitrary: fc.anything({ maxDepth: 3, withNullPrototype: false }).map(asJson) },
);

/** A place in a JSON value, as numbers that each choose among what is there. */
const place = fc.array(fc.nat(1000), { minLength: 1, maxLength: 6 });
const edit = fc.tuple(fc.constantFrom('replace', 'remove', 'add', 'repeat'), place, oddValue);

/** JSON values: one of those given, with up to three edits anywhere in it. */
export function editedJson(valid: readonly unknown[]): fc.Arbitrary<unknown> {
  return fc.tuple(fc.constantFrom(...valid), fc.array(edit, { maxLength: 3 })).map(([value, edits]) => {
    const root = { value: asJson(value) };
    for (const [kind, at, odd] of edits) applyEdit(root, kind, at, asJson(odd));
    return asJson(root.value);
  });
}

/** Texts: one of those given, with up to four pieces cut out, doubled, or written over. */
export function editedText(valid: readonly string[]): fc.Arbitrary<string> {
  const cut = fc.tuple(
    fc.nat(),
    fc.nat(40),
    fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('{', '[', '"', '\\')),
  );
  return fc.tuple(fc.constantFrom(...valid), fc.array(cut, { maxLength: 4 })).map(([text, cuts]) =>
    cuts.reduce((changed, [at, length, written]) => {
      const start = changed.length === 0 ? 0 : at % changed.length;
      return changed.slice(0, start) + written + changed.slice(start + length);
    }, text),
  );
}

/** Bytes: one of those given, with up to eight bytes changed and the end cut off. */
export function editedBytes(valid: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  const flip = fc.tuple(fc.nat(), fc.nat(255));
  return fc
    .tuple(fc.constantFrom(...valid), fc.array(flip, { maxLength: 8 }), fc.oneof(fc.constant(0), fc.nat(40)))
    .map(([bytes, flips, cut]) => {
      const changed = Buffer.from(bytes.subarray(0, Math.max(0, bytes.length - cut)));
      for (const [at, byte] of flips) if (changed.length > 0) changed[at % changed.length] = byte;
      return changed;
    });
}

function applyEdit(root: { value: unknown }, kind: string, at: readonly number[], odd: unknown): void {
  let holder: Record<string, unknown> | unknown[] = root;
  let key: string | number = 'value';
  for (const step of at) {
    const child: unknown = (holder as Record<string | number, unknown>)[key];
    if (typeof child !== 'object' || child === null) break;
    const keys = Object.keys(child);
    if (keys.length === 0) break;
    holder = child as Record<string, unknown>;
    key = keys[step % keys.length] as string;
  }
  const target = holder as Record<string | number, unknown>;
  if (kind === 'replace') target[key] = odd;
  else if (kind === 'remove' && holder !== (root as unknown)) delete target[key];
  else if (kind === 'add') target[typeof odd === 'string' ? odd.slice(0, 50) : 'more'] = odd;
  else if (kind === 'repeat' && Array.isArray(holder)) holder.push(target[key]);
}

/** What a value becomes on its way through JSON. */
function asJson(value: unknown): unknown {
  const text = JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}` : part));
  return text === undefined ? null : JSON.parse(text);
}

/** Held against a model: objects as lists of their fields, which may repeat, written as JSON in every way that it allows. */
import fc from 'fast-check';
import t from 'tap';
import { repeatsField } from './repeated-fields.ts';

type Model = { readonly text: string; readonly repeats: boolean };

/**
 * As few names as collide often; `:`, quotes and backslashes are what a count of colons could trip over. None begins with a backslash: V8 13.6
 * mistakes such a name, once met, for the escape that a later one begins with, and reads `{"a":1,"\u0061":2}` as an `a` and a `\`.
 * What is read so is no repetition, but a field that no route knows.
 */
const names = fc.constantFrom('a', 'b', '', ':', '"', 'b\\', 'b\\"', 'a:', '{"a":1}', '💥');

/** A string in one of its spellings: each bit says whether a character is escaped. */
const spelled = (text: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(text, fc.nat()).map(([value, bits]) => {
    const units = JSON.stringify(value).slice(1, -1).match(/\\u....|\\.|[^]/g) ?? [];
    return `"${units.map((unit, i) => (unit.length === 1 && (bits >> i % 31) & 1 ? escaped(unit) : unit)).join('')}"`;
  });

function escaped(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const gap = fc.constantFrom('', ' ', '\n\t');
const leaf = fc.oneof(spelled(names), spelled(fc.string()), fc.constantFrom('1', '-1e3', 'true', 'null')).map((text): Model => ({ text, repeats: false }));

const { value } = fc.letrec<{ value: Model }>((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, arrayOf(tie('value')), objectOf(tie('value'))),
}));

function arrayOf(item: fc.Arbitrary<Model>): fc.Arbitrary<Model> {
  return fc.tuple(fc.array(item, { maxLength: 4 }), gap).map(([items, space]) => ({
    text: `[${space}${items.map(({ text }) => text).join(`${space},`)}${space}]`,
    repeats: items.some(({ repeats }) => repeats),
  }));
}

function objectOf(item: fc.Arbitrary<Model>): fc.Arbitrary<Model> {
  return fc.tuple(fc.array(fc.tuple(spelled(names), item), { maxLength: 4 }), gap).map(([fields, space]) => ({
    text: `{${space}${fields.map(([name, { text }]) => `${name}${space}:${space}${text}`).join(`${space},`)}}`,
    repeats: new Set(fields.map(([name]) => JSON.parse(name) as string)).size < fields.length || fields.some(([, { repeats }]) => repeats),
  }));
}

t.test('a text repeats a field exactly when the model does', async (t) => {
  const seen = { plain: 0, repeating: 0 };
  const property = fc.property(value, ({ text, repeats }) => {
    seen[repeats ? 'repeating' : 'plain'] += 1;
    return repeatsField(text, JSON.parse(text)) === repeats;
  });
  const { failed, counterexample } = fc.check(property, { numRuns: 5_000, seed: 20_261_123 });
  t.notOk(failed, 'in none of 5,000', { counterexample });
  t.ok(seen.plain > 500 && seen.repeating > 500, `both were tried: ${JSON.stringify(seen)}`);
});

const cases: readonly (readonly [string, boolean])[] = [
  ['{"quantity":1,"quantity":900}', true],
  ['{"a":1,"\\u0061":2}', true],
  ['{"a":{"b":1,"b":2}}', true],
  ['[{"a":1},{"a":2}]', false],
  ['{"a":":","b":"\\":","c":"\\\\"}', false],
  ['{"a":{"x":1,"y":2},"a":3}', true],
  ['{"__proto__":1,"toString":2}', false],
  ['":"', false],
  ['null', false],
  [`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`, false],
];
for (const [text, repeats] of cases) {
  t.test(`${text.slice(0, 40)} ${repeats ? 'repeats a field' : 'repeats nothing'}`, async (t) => {
    t.equal(repeatsField(text, JSON.parse(text)), repeats);
  });
}

/** Stand-ins: whatever a contract allows to be asked is answered with something that it allows to be answered. */
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { OneOf, Page, strict, Timestamp, Uuid } from '../../src/contract/schemas.ts';
import { violationOf } from '../../src/contract/validate.ts';
import { discoverModules } from '../../src/host/discover.ts';
import { type Question, valueFor } from './value.ts';

const ask = (input: Record<string, unknown> = {}, known: Record<string, unknown> = {}): Question => ({ input, known, seed: 'test' });
const ID = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const OTHER = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a11';
const modules = await discoverModules();

for (const { contract } of modules) {
  void t.test(`${contract.name}: each operation can be asked and answered, and each event published`, async (t) => {
    for (const [name, { input, output }] of Object.entries(contract.operations)) {
      const question = valueFor(input, ask()) as Record<string, unknown>;
      t.equal(violationOf(input, question), undefined, `${name}: the question fits`);
      t.equal(violationOf(output, valueFor(output, ask(question))), undefined, `${name}: the answer fits`);
      t.equal(violationOf(output, valueFor(output, ask())), undefined, `${name}: also where nothing is known of the question`);
    }
    for (const { type, data } of Object.values(contract.events)) t.equal(violationOf(data, valueFor(data, ask())), undefined, type);
  });
}

void t.test('what the question names comes back', async (t) => {
  t.match(valueFor(strict({ orderId: Uuid, at: Timestamp }), ask({ orderId: ID })), { orderId: ID });
  t.match(valueFor(strict({ id: Uuid }), ask({ id: ID })), { id: ID });
  t.match(valueFor(strict({ id: Uuid }), ask({ userId: ID })), { id: ID }, 'also where the question has another name for it');
  t.same(valueFor(strict({ items: Type.Array(strict({ id: Uuid })) }), ask({ ids: [ID, OTHER, ID] })), { items: [{ id: ID }, { id: OTHER }] }, 'one item for each that is named');
  t.not((valueFor(strict({ items: Type.Array(strict({ productId: Uuid })) }), ask({ productId: ID })) as { items: { productId: string }[] }).items[0]!.productId, ID, 'a list about a thing is of other things');
  t.not((valueFor(strict({ orderId: Uuid }), ask({ orderId: 5 })) as { orderId: unknown }).orderId, 5, 'what does not fit does not');
  t.match(valueFor(strict({ customerId: Uuid }), ask({}, { customerId: ID })), { customerId: ID });
});

void t.test('what the schema says is taken first', async (t) => {
  const said = strict({
    example: Type.String({ examples: ['an example'], default: 'a default' }),
    preset: Type.Integer({ default: 7 }),
    constant: Type.Literal('always'),
    one: OneOf(['first', 'second']),
    maybe: Type.Union([Type.Integer({ minimum: 3 }), Type.Null()]),
    most: Type.Integer({ maximum: 0 }),
    left: Type.Optional(Type.String()),
  });
  t.strictSame(valueFor(said, ask()), { example: 'an example', preset: 7, constant: 'always', one: 'first', maybe: 3, most: 0 });
  t.strictSame(valueFor(strict({ a: Type.Integer(), id: Uuid }, { examples: [{ a: 5 }] }), ask({ id: ID })), { a: 5, id: ID }, 'an example of the whole, with what was asked in it');
});

void t.test('who reads page by page comes to an end', async (t) => {
  const page = Page(strict({ id: Uuid }));
  const first = valueFor(page, ask({ limit: 20 })) as { items: { id: string }[]; nextCursor: unknown };
  t.equal(new Set(first.items.map(({ id }) => id)).size, 2, 'two that differ');
  t.equal(first.nextCursor, null);
  t.match(valueFor(page, ask({ limit: 1 })), { items: { length: 1 } });
  t.match(valueFor(page, ask({ limit: 20, after: ID })), { items: { length: 0 } });
  t.match(valueFor(page, ask({ limit: 20, cursor: 'x' })), { items: { length: 0 } });
});

void t.test('the same question gets the same answer, another one another', async (t) => {
  const schema = strict({ paymentId: Uuid });
  const one = valueFor(schema, { ...ask(), seed: 'a' });
  t.strictSame(valueFor(schema, { ...ask(), seed: 'a' }), one);
  t.notSame(valueFor(schema, { ...ask(), seed: 'b' }), one);
});

void t.test('a schema that nothing fits by itself asks for an example', async (t) => {
  const odd = strict({ code: Type.String({ pattern: '^[0-9]{4}-[0-9]{4}$' }) });
  t.throws(() => valueFor(odd, ask()), { message: /^nothing that fits could be made up at "\/code" .*: add examples to the schema$/ });
  const record = Type.Record(Type.String(), Type.Integer(), { minProperties: 1, examples: [{ a: 1 }] });
  t.strictSame(valueFor(strict({ counts: record }), ask()), { counts: { a: 1 } }, 'of a record as well');
  const asked = { tags: { a: 1 } };
  const echoed = valueFor(strict({ tags: record }), ask(asked)) as typeof asked;
  t.strictSame(echoed, asked);
  t.not(echoed.tags, asked.tags, 'a copy: nobody shares it with who asked');
  t.strictSame(valueFor(strict({ code: Type.String({ pattern: '^[0-9]{4}-[0-9]{4}$', examples: ['1234-5678'] }) }), ask()), { code: '1234-5678' });
});

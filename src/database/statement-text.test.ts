/** What is shown of statements: what they do and to which tables, never a value that somebody wrote into one. */
import { PostgreSqlPlatform } from '@mikro-orm/postgresql';
import fc from 'fast-check';
import pg from 'pg';
import t from 'tap';
import { textOf } from './statement-text.ts';

const platform = new PostgreSqlPlatform();

t.test('no value that MikroORM or pg writes into a text is shown', async (t) => {
  const text = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("'", '\\', '$', '"', '-', '/', '*', 'E', 'a', '\n', '$$', "''", '?', '$1', ';') }));
  const value = fc.oneof(text, fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.date({ noInvalidDate: true }), fc.uint8Array().map((bytes) => Buffer.from(bytes)));
  fc.assert(
    fc.property(value, (given) => {
      const { sanitised } = textOf(platform.formatQuery('select x from t where a = ? and b = 1', [given]));
      return /^select x from t where a = -?\? and b = \?$/.test(sanitised);
    }),
    { numRuns: 2_000, seed: 1 },
  );
  fc.assert(
    fc.property(text, (given) => textOf(`select ${pg.escapeLiteral(given)}, "a" from t`).sanitised === 'select ?, "a" from t'),
    { numRuns: 2_000, seed: 1 },
  );
  t.pass();
});

t.test('literals are replaced, parameters and names are kept', async (t) => {
  const shown: [text: string, sanitised: string][] = [
    [`select 'it''s', E'a\\'b', x'1F', 12.5, 1e-3, .5, -7`, 'select ?, ?, x?, ?, ?, ?, -?'],
    [`select $1::uuid, $23, a1, t2.c3, "we'ird ""name""" from t4`, `select $1::uuid, $23, a1, t2.c3, "we'ird ""name""" from t4`],
    ['select $$a $ secret$$, $tag$a $$ secret$tag$ from x', 'select ?, ? from x'],
    ['select 1 -- a secret\n from x /* another\n secret */ where y', 'select ? from x where y'],
    [`select 'open secret`, 'select ?'],
    [`select "open secret`, 'select "open secret'],
    [`select e'open secret`, 'select ?'],
    [`select 'a\\', 'b' from x`, 'select ?, ? from x'],
  ];
  for (const [text, sanitised] of shown) t.equal(textOf(text).sanitised, sanitised);
});

t.test('a summary names operations and tables', async (t) => {
  const summaries: [text: string, summary: string][] = [
    ['begin', 'BEGIN'],
    ['select 1', 'SELECT'],
    ['set local role x', 'SET'],
    ['select a, b from product where id = any ($1) for no key update skip locked', 'SELECT product'],
    ['select o.*, (select json_agg(i) from order_item i) from customer_order o join x on true', 'SELECT order_item customer_order x'],
    ['insert into x (a) values ($1) on conflict (a) do update set b = 1 returning 1', 'INSERT x'],
    ['insert into word (word) select word from (select unnest($1::text[]) as word) as used', 'INSERT word'],
    ['with changed as (update orders_outbox.saga set a = 1 returning 1) select 1 / count(*) from changed', 'UPDATE orders_outbox.saga'],
    ['with a as (select 1 from x), b as materialized (delete from y using a returning 1) select from b', 'SELECT x DELETE y'],
    ['select extract(epoch from now() - min(created_on)) from "orders_outbox"."job"', 'SELECT orders_outbox.job'],
    ['select 1 from unnest($1::uuid[]) as line (id) where line.id is distinct from other.id', 'SELECT'],
    [`insert into o.j${'0f'.repeat(28)} (id) values ($1)`, 'INSERT o.job'],
    ['vacuum', 'VACUUM'],
  ];
  for (const [text, summary] of summaries) t.equal(textOf(text).summary, summary, text);
});

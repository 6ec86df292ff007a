/** A column is added while statements that return all columns are prepared: nobody notices. */
import { defineEntity, LockMode, p } from '@mikro-orm/core';
import pg from 'pg';
import t from 'tap';
import { Call } from '../calls/call.ts';
import { emptyDatabase } from '../testing/testing.ts';
import type { Transaction } from './database.ts';
import { OrmDatabase } from './orm-database.ts';

const Book = defineEntity({ name: 'Book', tableName: 'book', properties: { title: p.text().primary(), pages: p.integer() } });

const database = await emptyDatabase();
const options = { module: 'shelf', url: database.adminUrl, entities: [Book] };
const db = await OrmDatabase.open({ ...options, poolSize: 1 });
const many = await OrmDatabase.open({ ...options, poolSize: 5 });
const other = new pg.Client({ connectionString: database.adminUrl });
await other.connect();
t.teardown(async () => {
  await Promise.all([db.close(), many.close(), other.end()]);
  await database.drop();
});
await other.query(`create schema shelf; create table shelf.book (title text primary key, pages int not null); insert into shelf.book values ('a', 1)`);

let columns = 0;

/** As a migration of another process does it. */
async function addColumn(): Promise<void> {
  await other.query(`alter table shelf.book add column c${(columns += 1)} text`);
}

async function transaction<T>(work: (tx: Transaction) => Promise<T>, on = db): Promise<T> {
  return on.transaction({ call: Call.root('test', 5_000) }, work);
}

const ALL = 'select * from book where title = $1';
const BUMP = 'update book set pages = pages + 1 where title = $1 returning *';

const pages = async (): Promise<number> => (await db.sql<{ pages: number }>('select pages from book'))[0]!.pages;

const ways: Readonly<Record<string, () => Promise<unknown>>> = {
  'a statement by itself': async () => db.sql(ALL, ['a']),
  'a change by itself': async () => db.sql(BUMP, ['a']),
  'the first statement of a transaction': async () => transaction(async (tx) => tx.sql(ALL, ['a'])),
  'a later statement of a transaction': async () =>
    transaction(async (tx) => {
      tx.later('update book set pages = pages + 1 where title = $1', ['a']);
      await tx.sql('select 1 from book where title = $1', ['a']);
      return tx.sql(ALL, ['a']);
    }),
  'a statement that goes with the commit': async () => transaction(async (tx) => tx.later(BUMP, ['a'])),
  'an entity that is found': async () => db.em().findOneOrFail(Book, { title: 'a' }),
  'an entity that is locked and changed': async () =>
    transaction(async ({ em }) => {
      const book = await em.findOneOrFail(Book, { title: 'a' }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      book.pages += 1;
    }),
  'several in one transaction': async () =>
    transaction(async (tx) => {
      await tx.sql(ALL, ['a']);
      await tx.sql('select * from book order by title limit $1', [1]);
      await tx.sql('select b.*, $1::int from book b', [1]);
      await tx.em.find(Book, {});
    }),
};

for (const [way, run] of Object.entries(ways)) {
  t.test(way, async (t) => {
    await run();
    const before = await pages();
    await run();
    const step = (await pages()) - before;
    await addColumn();
    await run();
    t.equal(await pages(), before + 2 * step, 'it took effect once');
    await addColumn();
    await addColumn();
    await run();
    t.equal(await pages(), before + 3 * step);
  });
}

t.test('the new columns are there', async (t) => {
  await addColumn();
  const [row] = await db.sql<Record<string, unknown>>(ALL, ['a']);
  t.ok(`c${columns}` in row!);
});

t.test('under load, on several connections', async (t) => {
  let over = false;
  let runs = 0;
  const load = async () => {
    while (!over) {
      await many.sql(ALL, ['a']);
      await transaction(async (tx) => {
        await tx.sql('select pages from book where title = $1 for update', ['a']);
        tx.later(BUMP, ['a']);
      }, many);
      await many.em().findOneOrFail(Book, { title: 'a' });
      runs += 1;
    }
  };
  const before = await pages();
  const loads = Promise.all(Array.from({ length: 10 }, load));
  for (let added = 0; added < 20; added += 1) {
    const at = runs;
    await addColumn();
    while (runs < at + 10) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  over = true;
  await loads;
  t.equal((await pages()) - before, runs, 'each change was made once');
});

t.test('what the server was told to prepare does not pile up', async (t) => {
  await db.sql(ALL, ['a']);
  await addColumn();
  await db.sql(ALL, ['a']);
  const [row] = await db.sql<{ prepared: number }>('select count(*)::int as prepared from pg_prepared_statements');
  t.ok(row!.prepared <= 2, `${row!.prepared} statements`);
});

/** Transactions as modules get them: whole or not at all, also where statements go to the server together. */
import pg from 'pg';
import t from 'tap';
import { Call } from '../calls/call.ts';
import { emptyDatabase } from '../testing/testing.ts';
import { type Transaction, Unchanged } from './database.ts';
import { OrmDatabase } from './orm-database.ts';

const database = await emptyDatabase();
// One connection, so that whatever a transaction leaves behind on it is met by the next one.
const db = await OrmDatabase.open({ module: 'shelf', url: database.adminUrl, poolSize: 1, entities: [] });
t.teardown(async () => {
  await db.close();
  await database.drop();
});
await db.sql('create schema shelf');
await db.sql('create table book (title text primary key, pages int not null check (pages > 0))');

const INSERT = 'insert into book (title, pages) values ($1, $2)';

async function transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
  return db.transaction({ call: Call.root('test', 5_000) }, work);
}

async function titles(): Promise<string> {
  return (await db.sql<{ title: string }>('select title from book order by title')).map(({ title }) => title).join();
}

t.beforeEach(async () => void (await db.sql('delete from book')));

t.test('statements that are put off run before the next one, in their order, and at the latest with the commit', async (t) => {
  const seen = await transaction(async (tx) => {
    tx.later(INSERT, ['a', 1]);
    tx.later('update book set title = title || $1', ['b']);
    const [book] = await tx.sql<{ title: string; size: string }>('select title, pg_typeof(pages)::text as size from book');
    tx.later(INSERT, ['c', 3]);
    return book;
  });
  t.same(seen, { title: 'ab', size: 'integer' });
  t.equal(await titles(), 'ab,c');
});

t.test('one that is put off and fails undoes the transaction, whoever waits for what comes after it', async (t) => {
  const ended = transaction(async (tx) => {
    tx.later(INSERT, ['a', 1]);
    tx.later(INSERT, ['b', 0]);
    await tx.sql(INSERT, ['c', 1]);
  });
  await t.rejects(ended, { code: '23514' });
  await t.rejects(transaction(async (tx) => tx.later(INSERT, ['b', 0])), { code: '23514' });
  t.equal(await titles(), '');
});

t.test('what the server has skipped behind a failure can be used on the same connection later', async (t) => {
  const fresh = 'insert into book (title, pages) select $1, 7';
  await t.rejects(transaction(async (tx) => {
    tx.later('select 1 / $1::int', [0]);
    await tx.sql(fresh, ['a']);
  }), { code: '22012' });
  await transaction(async (tx) => void (await tx.sql(fresh, ['a'])));
  const wrong = 'insert into no_such_table values ($1)';
  for (let tries = 0; tries < 2; tries += 1) await t.rejects(transaction(async (tx) => tx.later(wrong, [1])), { code: '42P01' });
  t.equal(await titles(), 'a');
});

t.test('a transaction fails as a whole, and says how, when what must change does not', async (t) => {
  const rename = `update book set title = $2 where title = $1 returning 1`;
  const renamed = async (from: string, after?: string) =>
    transaction(async (tx) => {
      tx.later(INSERT, [`beside ${from}`, 1]);
      tx.mustChange(rename, [from, 'b']);
      if (after !== undefined) await tx.sql(after);
    });
  await t.rejects(renamed('a'), Unchanged);
  await t.rejects(renamed('a', 'select 1'), Unchanged, 'also where a statement follows it');
  t.equal(await titles(), '');
  await db.sql(INSERT, ['a', 1]);
  await renamed('a');
  t.equal(await titles(), 'b,beside a');
  await t.rejects(renamed('b', 'select 1 / 0'), { code: '22012' }, 'a division by zero elsewhere is one');
  t.equal(await titles(), 'b,beside a');
});

t.test('a value that cannot be sent fails its transaction alone', async (t) => {
  const circle: Record<string, unknown> = {};
  circle['itself'] = circle;
  await t.rejects(transaction(async (tx) => {
    tx.later(INSERT, ['a', 1]);
    tx.later(INSERT, [circle, 1]);
    tx.later(INSERT, ['b', 1]);
  }), { message: /circular/i });
  await t.rejects(transaction(async (tx) => tx.sql(INSERT, [circle, 1])), { message: /circular/i });
  t.equal(await titles(), '');
  await transaction(async (tx) => tx.later(INSERT, ['c', 1]));
  t.equal(await titles(), 'c');
});

t.test('a failure that the work ignores is none to be called a success', async (t) => {
  const ended = transaction(async (tx) => {
    await tx.sql(INSERT, ['a', 1]);
    await tx.sql(INSERT, ['b', 0]).catch(() => undefined);
  });
  await t.rejects(ended, { message: /rolled back/ });
  t.equal(await titles(), '');
});

t.test('what is still done after the end reaches nobody else\'s transaction', async (t) => {
  let escaped: Transaction;
  await transaction(async (tx) => {
    escaped = tx;
    await tx.sql(INSERT, ['a', 1]);
  });
  await t.rejects(escaped!.sql(INSERT, ['b', 1]), { message: /over/ });
  t.throws(() => escaped.later(INSERT, ['b', 1]), { message: /over/ });
  const failed = transaction(async (tx) => {
    escaped = tx;
    await Promise.all([tx.sql(INSERT, ['c', 0]), tx.sql('select 1').then(async () => tx.sql(INSERT, ['d', 1]))]);
  });
  await t.rejects(failed);
  await t.rejects(escaped!.sql(INSERT, ['e', 1]), { message: /over/ });
  t.equal(await titles(), 'a');
});

t.test('what runs after the commit runs only then', async (t) => {
  let told = 0;
  await transaction(async (tx) => {
    tx.later(INSERT, ['a', 1]);
    tx.afterCommit(() => (told += 1));
  });
  await t.rejects(transaction(async (tx) => {
    tx.later(INSERT, ['a', 1]);
    tx.afterCommit(() => (told += 1));
  }), { code: '23505' });
  t.equal(told, 1);
});

t.test('a transaction without a statement asks the database nothing', async (t) => {
  const observer = new pg.Client({ connectionString: database.adminUrl });
  await observer.connect();
  t.teardown(async () => observer.end());
  const [own] = await db.sql<{ pid: number }>('select pg_backend_pid() as pid');
  const lastAsked = async (): Promise<unknown> => (await observer.query('select state_change::text from pg_stat_activity where pid = $1', [own!.pid])).rows;
  const before = await lastAsked();
  t.equal(await transaction(async () => 'done'), 'done');
  t.strictSame(await lastAsked(), before);
  await transaction(async (tx) => tx.later(INSERT, ['a', 1]));
  t.notSame(await lastAsked(), before, 'and one with a statement is seen');
});

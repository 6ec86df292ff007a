/**
 * What must hold for every table so that a module can leave with its data: a primary key, no sequences, and nothing that
 * reaches into another schema.
 */
import t from 'tap';
import pg from 'pg';
import { kernelTables } from '../database/kernel-tables.ts';
import { tablesIn } from '../database/migrated-tables.ts';
import { readMigrations } from '../database/migration-files.ts';
import { discoverModules, projectRoot } from '../host/discover.ts';
import { cloneDatabase } from '../testing/testing.ts';
import { crossingReferences, sequences, withoutPrimaryKey } from './table-rules.ts';

const database = await cloneDatabase();
const client = new pg.Client({ connectionString: database.adminUrl });
await client.connect();
t.teardown(async () => {
  await client.end();
  await database.drop();
});

const modules = (await discoverModules()).map(({ contract }) => contract.name);
/** A module's own tables, and its outbox, which leaves with it. */
const schemas = modules.flatMap((name) => [name, `${name}_outbox`]);

t.test('every table of a module has a primary key', async (t) => {
  t.same(await withoutPrimaryKey(client, schemas), []);
});

t.test('no key of a module comes from a sequence', async (t) => {
  t.same(await sequences(client, schemas), []);
});

t.test('no foreign key, view or function of a module reaches into another schema', async (t) => {
  t.same(await crossingReferences(client, schemas), []);
});

/** A start refuses a database that lacks one of them, so a misread one would keep the shop from starting. */
t.test('tables and columns that are read off the migrations are those that they make', async (t) => {
  for (const module of modules) {
    const files = await readMigrations(`${projectRoot}/migrations`, module);
    t.strictSame(columnsIn(files), await columnsMade(module), `${module}: where the migrations are right, src/database/migrated-tables.ts must learn to read them`);
    const own = columnsIn(kernelTables);
    t.strictSame(own, (await columnsMade(`${module}_outbox`)).filter((name) => own.some((each) => each.split('.')[0] === name.split('.')[0])), `the kernel's in ${module}_outbox`);
  }
});

function columnsIn(files: readonly { readonly sql: string }[]): string[] {
  return tablesIn(files.map(({ sql }) => sql)).flatMap(({ name, columns }) => columns.map((column) => `${name}.${column}`)).toSorted();
}

async function columnsMade(schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select relname || '.' || attname as name from pg_attribute join pg_class c on c.oid = attrelid
     where relnamespace = $1::regnamespace and relkind in ('r', 'p') and attnum > 0 and not attisdropped`,
    [schema],
  );
  return rows.map(({ name }) => name).toSorted();
}

t.test('tables that break these rules are found', async (t) => {
  const [one, other] = [modules[0]!, modules[1]!];
  await client.query('begin');
  await client.query(`create table "${one}".keyless (n int)`);
  await client.query(`create table "${other}".numbered (n serial primary key)`);
  await client.query(`create table "${one}".crossing (n int primary key references "${other}".numbered (n))`);
  t.same(await withoutPrimaryKey(client, schemas), [`${one}.keyless`]);
  t.same(await sequences(client, schemas), [`${other}.numbered_n_seq`]);
  t.same(await crossingReferences(client, schemas), [`${one}.crossing → ${other}.numbered`]);
  await client.query('rollback');
});

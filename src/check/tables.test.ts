/**
 * What must hold for every table so that a module can leave with its data: a primary key, no sequences, and nothing that
 * reaches into another schema.
 */
import t from 'tap';
import pg from 'pg';
import { discoverModules } from '../host/discover.ts';
import { cloneDatabase } from '../testing/testing.ts';

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
  t.same(await withoutPrimaryKey(schemas), []);
});

t.test('no key of a module comes from a sequence', async (t) => {
  t.same(await sequences(schemas), []);
});

t.test('no foreign key, view or function of a module reaches into another schema', async (t) => {
  t.same(await crossingReferences(schemas), []);
});

t.test('tables that break these rules are found', async (t) => {
  const [one, other] = [modules[0]!, modules[1]!];
  await client.query('begin');
  await client.query(`create table "${one}".keyless (n int)`);
  await client.query(`create table "${other}".numbered (n serial primary key)`);
  await client.query(`create table "${one}".crossing (n int primary key references "${other}".numbered (n))`);
  t.same(await withoutPrimaryKey(schemas), [`${one}.keyless`]);
  t.same(await sequences(schemas), [`${other}.numbered_n_seq`]);
  t.same(await crossingReferences(schemas), [`${one}.crossing → ${other}.numbered`]);
  await client.query('rollback');
});

async function withoutPrimaryKey(schemaNames: readonly string[]): Promise<string[]> {
  return names(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind in ('r', 'p')
       and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) order by 1`,
    schemaNames,
  );
}

async function sequences(schemaNames: readonly string[]): Promise<string[]> {
  return names(
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind = 'S' order by 1`,
    schemaNames,
  );
}

/** Foreign keys by constraint, views and SQL-standard functions by what they depend on. */
async function crossingReferences(schemaNames: readonly string[]): Promise<string[]> {
  return names(
    `select a.relnamespace::regnamespace || '.' || a.relname || ' → ' || b.relnamespace::regnamespace || '.' || b.relname as name
     from pg_constraint f join pg_class a on a.oid = f.conrelid join pg_class b on b.oid = f.confrelid
     where f.contype = 'f' and a.relnamespace::regnamespace::text = any ($1) and a.relnamespace <> b.relnamespace
     union
     select v.relnamespace::regnamespace || '.' || v.relname || ' → ' || b.relnamespace::regnamespace || '.' || b.relname
     from pg_depend d join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass join pg_class v on v.oid = r.ev_class
     join pg_class b on b.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
     where v.relnamespace::regnamespace::text = any ($1) and b.relnamespace <> v.relnamespace
     union
     select p.pronamespace::regnamespace || '.' || p.proname || '() → ' || b.relnamespace::regnamespace || '.' || b.relname
     from pg_depend d join pg_proc p on p.oid = d.objid and d.classid = 'pg_proc'::regclass
     join pg_class b on b.oid = d.refobjid and d.refclassid = 'pg_class'::regclass
     where p.pronamespace::regnamespace::text = any ($1) and b.relnamespace <> p.pronamespace
     order by 1`,
    schemaNames,
  );
}

async function names(query: string, schemaNames: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(query, [schemaNames]);
  return rows.map(({ name }) => name);
}

/**
 * Invariant I3: a module's role has no right on another module's schemas, and at run time none to change its own. Modules,
 * schemas and tables are found, so a module that is added tomorrow is held to this too.
 */
import t from 'tap';
import pg from 'pg';
import { testShop } from '#testing';
import { discoverModules } from '../host/discover.ts';
import { TEST_ROLE_PREFIX } from '../testing/testing.ts';

const INSUFFICIENT_PRIVILEGE = '42501';

interface Table {
  readonly schema: string;
  readonly name: string;
  /** Schema and table, quoted. */
  readonly path: string;
  readonly columns: readonly string[];
  readonly key: readonly string[];
}

const shop = await testShop(t);
const modules = (await discoverModules()).map(({ contract }) => contract.name);
const admin = await connected(shop.adminUrl);
const tables = await allTables();

t.setTimeout(120_000);

for (const module of modules) {
  const role = await connected(shop.moduleUrl(module));
  const own = tables.filter(({ schema }) => belongsTo(schema, module));

  t.test(`${module} reaches no table of another module`, async (t) => {
    for (const other of modules.filter((name) => name !== module)) {
      const theirs = tables.filter(({ schema }) => belongsTo(schema, other));
      t.ok(theirs.length > 0, `${other} has tables that could be reached`);
      t.same(await notDenied(role, theirs.flatMap(reads)), [], `${other}: no read`);
      t.same(await notDenied(role, theirs.flatMap(writes)), [], `${other}: no write`);
      t.same(await notDenied(role, theirs.map((table) => foreignKey(module, table))), [], `${other}: no foreign key, at run time`);
      t.same(await notDeniedAs(owner(module), theirs.map((table) => foreignKey(module, table))), [], `${other}: no foreign key, in a migration`);
    }
  });

  t.test(`${module} cannot change schemas at run time`, async (t) => {
    t.same(await notDenied(role, own.flatMap(changes)), [], 'nor its own tables');
    t.same(await notDenied(role, schemaChanges(module)), [], 'nor add to its schemas or the database');
    t.same(await notDenied(role, modules.map((name) => `set role ${owner(name)}`)), [], 'nor become the owner of any');
  });

  t.test(`${module} does use its own tables, its outbox's among them`, async (t) => {
    const allowed = tables.filter(({ schema }) => belongsTo(schema, module)).flatMap((table) => [...reads(table), ...writes(table)]);
    const denied = await outcomes(role, allowed);
    t.ok(allowed.length > 0 && denied.every((code) => code !== INSUFFICIENT_PRIVILEGE), 'so that a denial elsewhere means something');
    const references = tables.filter(({ schema }) => schema === module).map((table) => foreignKey(module, table));
    t.equal((await notDeniedAs(owner(module), references)).length, references.length, 'and so do its migrations');
  });
}

t.test('a right that is given by mistake is found', async (t) => {
  const [giver, taker] = [modules[0]!, modules[1]!];
  const toTaker = `to ${quote(`${TEST_ROLE_PREFIX}${taker}`)}`;
  const given = tables.find(({ schema }) => schema === giver)!;
  const role = await connected(shop.moduleUrl(taker));
  await admin.query(`grant usage on schema ${quote(giver)} ${toTaker}; grant select on ${given.path} ${toTaker}`);
  t.same(await notDenied(role, [...reads(given), ...writes(given).slice(0, 3)]), [`ok: ${reads(given)[0]}`]);
});

t.test('the role that only listens and notifies reaches no table', async (t) => {
  t.same(await notDeniedAs(quote(`${TEST_ROLE_PREFIX}kernel`), tables.flatMap((table) => [...reads(table), ...writes(table)])), []);
});

function belongsTo(schema: string, module: string): boolean {
  return schema === module || schema === `${module}_outbox`;
}

function reads({ path }: Table): string[] {
  return [`select from ${path} limit 1`];
}

/** None of them changes a row where it is allowed. */
function writes({ path, columns }: Table): string[] {
  const column = quote(columns[0]!);
  return [
    `insert into ${path} (${column}) select ${column} from ${path} where false`,
    `update ${path} set ${column} = ${column} where false`,
    `delete from ${path} where false`,
    `select from ${path} where false for update`,
  ];
}

function foreignKey(module: string, { path, columns, key }: Table): string {
  const referenced = quote(key[0] ?? columns[0]!);
  return `create table ${quote(module)}.stolen (id uuid references ${path} (${referenced}))`;
}

function changes({ path, columns }: Table): string[] {
  return [
    `alter table ${path} add column smuggled int`,
    `alter table ${path} disable trigger all`,
    `create index on ${path} (${quote(columns[0]!)})`,
    `drop table ${path}`,
    `truncate ${path}`,
  ];
}

function schemaChanges(module: string): string[] {
  const inSchemas = [module, `${module}_outbox`, 'public'].flatMap((schema) => [
    `create table ${quote(schema)}.smuggled (id int)`,
    'create temporary table smuggled (id int)',
    `create function ${quote(schema)}.smuggled() returns int language sql as 'select 1'`,
  ]);
  return [...inSchemas, 'create schema smuggled', `drop schema ${quote(module)} cascade`, 'create role smuggled'];
}

/** Statements that end otherwise than with 42501, with how they end. */
async function notDenied(client: pg.Client, statements: readonly string[]): Promise<string[]> {
  const codes = await outcomes(client, statements);
  return statements.map((statement, at) => `${codes[at]}: ${statement}`).filter((_, at) => codes[at] !== INSUFFICIENT_PRIVILEGE);
}

/** What is denied to a role that cannot sign in, or whose password is not known here: the administrator acts as it. */
async function notDeniedAs(name: string, statements: readonly string[]): Promise<string[]> {
  await admin.query(`set role ${name}`);
  try {
    return await notDenied(admin, statements);
  } finally {
    await admin.query('reset role');
  }
}

/** The owner of a module's schemas, as which its migrations run. */
function owner(module: string): string {
  return quote(`${TEST_ROLE_PREFIX}${module}_owner`);
}

/** SQLSTATE of each statement, or `ok`. */
async function outcomes(client: pg.Client, statements: readonly string[]): Promise<string[]> {
  const codes: string[] = [];
  for (const statement of statements) {
    codes.push(await client.query(statement).then(() => 'ok', (error: Error & { code?: string }) => error.code ?? error.message));
  }
  return codes;
}

async function allTables(): Promise<Table[]> {
  const { rows } = await admin.query<Omit<Table, 'path'>>(
    `select n.nspname as schema, c.relname as name,
            array(select a.attname::text from pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by a.attnum) as columns,
            array(select a.attname::text from pg_index i join pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
                  where i.indrelid = c.oid and i.indisprimary) as key
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and n.nspname !~ '^pg_|^information_schema$'
     order by 1, 2`,
  );
  return rows.map((row) => ({ ...row, path: `${quote(row.schema)}.${quote(row.name)}` }));
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  t.teardown(async () => client.end());
  return client;
}

function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** Provisioning with the logins that people have: not only superusers. */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { discoverModules, inDependencyOrder, projectRoot } from '../host/discover.ts';
import { emptyDatabase, type TestDatabase } from '../testing/database.ts';
import type { TestScope } from '../testing/testing.ts';
import { type MigrationSource, readMigrations } from './migration-files.ts';
import { OrmDatabase } from './orm-database.ts';
import { provision } from './provision.ts';
import { isProvisioned } from './provisioned.ts';

const modules = inDependencyOrder(await discoverModules());
const sources: MigrationSource[] = await Promise.all(modules.map(async ({ contract, extensions }) => ({ name: contract.name, extensions: extensions ?? [], files: await readMigrations(`${projectRoot}/migrations`, contract.name) })));
const small: MigrationSource = { name: 'shelf', extensions: [], files: [{ name: '0001-initial.sql', sql: 'create table book (id uuid primary key)' }] };
const PASSWORD = 'a password with a \' in it';

/** Roles belong to the server, so each test has names of its own and takes them away again. */
function prefixFor(t: TestScope, server: TestDatabase): string {
  const prefix = `cleavep_${randomBytes(4).toString('hex')}_`;
  t.teardown(async () => {
    await server.drop();
    await asAdmin(server, 'postgres', async (client) => {
      const { rows } = await client.query<{ name: string }>('select rolname as name from pg_roles where rolname like $1 order by 1 desc', [`${prefix}%`]);
      for (const { name } of rows) await client.query(`drop owned by "${name}" cascade`);
      for (const { name } of rows) await client.query(`drop role "${name}"`);
    });
  });
  return prefix;
}

async function asAdmin<T>(server: TestDatabase, database: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const url = new URL(server.adminUrl);
  url.pathname = `/${database}`;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Connection string of a login that is no superuser. */
async function login(server: TestDatabase, name: string, rights: string, onDatabase: string): Promise<string> {
  await asAdmin(server, server.name, async (client) => {
    await client.query(`create role "${name}" login ${rights} password '${PASSWORD.replaceAll('\'', '\'\'')}'`);
    if (onDatabase) await client.query(`grant ${onDatabase} on database ${server.name} to "${name}"`);
  });
  const url = new URL(server.adminUrl);
  url.username = name;
  url.password = encodeURIComponent(PASSWORD);
  return url.href;
}

async function works(urls: Readonly<Record<string, string>>, name: string, table: string): Promise<void> {
  const client = new pg.Client({ connectionString: urls[name]! });
  await client.connect();
  await client.query(`select from ${name}.${table}`).finally(async () => client.end());
}

t.test('a login with CREATEROLE and CREATE on the database is enough, at the first start and later', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = await login(server, `${prefix}login`, 'createrole', 'create');
  for (const time of ['first', 'second']) {
    const { urls } = await provision({ adminUrl, prefix, modules: sources });
    t.strictSame(Object.keys(urls), sources.map(({ name }) => name), `the ${time} time`);
  }
  const { urls } = await provision({ adminUrl, prefix, modules: sources });
  await works(urls, 'orders', 'customer_order');
  const more = await provision({ adminUrl, prefix, modules: [...sources, small] });
  await works(more.urls, 'shelf', 'book');
});

t.test('a login without inheritance is enough too', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = await login(server, `${prefix}login`, 'createrole noinherit', 'create');
  const { urls } = await provision({ adminUrl, prefix, modules: [small] });
  await works(urls, 'shelf', 'book');
});

t.test('a connection string may be written in any way that the driver takes: the roles are the modules\' all the same', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const plain = new URL(await login(server, `${prefix}login`, 'createrole', 'create'));
  const { host, hostname, port, pathname, username } = plain;
  await asAdmin(server, server.name, async (client) => {
    await client.query(`alter role "${username}" password '50%off'`);
    await client.query(`create database "${username}" owner "${username}"`);
  });
  t.teardown(async () => asAdmin(server, 'postgres', async (client) => client.query(`drop database "${username}"`)));
  const forms: Readonly<Record<string, string>> = {
    'a percent sign in the password': `postgres://${username}:50%off@${host}${pathname}`,
    'the host as a parameter': `postgres://${pathname}?host=${hostname}&port=${port}&user=${username}&password=50%25off`,
    'the login as parameters': `postgres://${host}${pathname}?user=${username}&password=50%25off&application_name=mine&options=-c%20search_path%3Dpublic`,
    'an encoded host': `postgres://${username}:50%25off@${hostname.replaceAll('.', '%2E')}:${port}${pathname}`,
    'no database': `postgres://${username}:50%25off@${host}`,
  };
  for (const [form, adminUrl] of Object.entries(forms)) {
    const { urls, kernelUrl } = await provision({ adminUrl, prefix, modules: [small] });
    for (const [name, url] of Object.entries({ ...urls, kernel: kernelUrl })) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const { rows } = await client.query<{ name: string; database: string }>('select current_user as name, current_database() as database');
      await client.end();
      t.same(rows, [{ name: `${prefix}${name}`, database: form === 'no database' ? username : server.name }], form);
    }
  }
});

t.test('what the connection string says of encryption holds for the modules\' own connections', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const { urls } = await provision({ adminUrl: server.adminUrl, prefix, modules: [small] });
  const url = new URL(urls['shelf']!);
  url.searchParams.set('sslmode', 'require');
  const db = await OrmDatabase.open({ module: 'shelf', url: url.href, poolSize: 2, entities: [] });
  t.teardown(async () => db.close());
  // The server of tests speaks no TLS; one that does would be spoken to in clear otherwise.
  await t.rejects(db.sql('select 1'), { message: /does not support SSL/ });
  await t.rejects(db.em().execute('select 1'), { message: /does not support SSL/ });
});

t.test('where not everybody may connect, the roles are let in, or it is said what is missing', async (t) => {
  for (const owns of [true, false]) {
    const server = await emptyDatabase();
    const prefix = prefixFor(t, server);
    const adminUrl = await login(server, `${prefix}login`, 'createrole', 'create, connect');
    await asAdmin(server, server.name, async (client) => client.query(`revoke connect on database ${server.name} from public; ${owns ? `alter database ${server.name} owner to "${prefix}login"` : ''}`));
    if (owns) await works((await provision({ adminUrl, prefix, modules: [small] })).urls, 'shelf', 'book');
    else await t.rejects(provision({ adminUrl, prefix, modules: [small] }), { name: 'StartError', message: /may not connect/, remedy: new RegExp(`GRANT CONNECT ON DATABASE "${server.name}" TO .*"${prefix}shelf"`) });
  }
});

t.test('another prefix on the same database is told which one it has', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  await provision({ adminUrl: server.adminUrl, prefix, modules: [small] });
  await t.rejects(provision({ adminUrl: server.adminUrl, prefix: `${prefix}x_`, modules: [small] }), { name: 'StartError', message: `the schema "shelf" belongs to the role "${prefix}shelf_owner", not to one that begins with ${prefix}x_` });
  const roles = await asAdmin(server, server.name, async (client) => client.query('select 1 from pg_roles where rolname like $1', [`${prefix}x\\_%`]));
  t.equal(roles.rowCount, 0, 'and nothing was left behind');
});

t.test('a login that may not create roles is told what it lacks and what to do', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = await login(server, `${prefix}login`, '', 'create');
  await t.rejects(provision({ adminUrl, prefix, modules: [small] }), { name: 'StartError', message: /login "\w+login" may not create roles \(it lacks CREATEROLE\)/ });
});

t.test('a login that may not create schemas is told so', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = await login(server, `${prefix}login`, 'createrole', '');
  const failure = provision({ adminUrl, prefix, modules: [small] });
  await t.rejects(failure, { name: 'StartError', message: new RegExp(`login "${prefix}login" may not create schemas in the database "${server.name}"`) });
});

t.test('roles that another login has made are used where that is allowed, and else it is said what is missing', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const first = await login(server, `${prefix}login`, 'createrole', 'create');
  await provision({ adminUrl: first, prefix, modules: [small] });
  const second = await login(server, `${prefix}stranger`, 'createrole', 'create');
  const other: MigrationSource = { ...small, name: 'desk' };
  const outcome = await provision({ adminUrl: second, prefix, modules: [small, other] }).then(() => 'works', (error: Error) => error.name);
  t.ok(['works', 'StartError'].includes(outcome), outcome);
});

t.test('a start that was killed half way is finished by the next one', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = await login(server, `${prefix}login`, 'createrole', 'create');
  await provision({ adminUrl, prefix, modules: [small] });
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  await client.query(`drop schema shelf cascade; drop schema shelf_outbox cascade; create schema shelf authorization "${prefix}shelf_owner"`);
  await client.query(`revoke "${prefix}shelf_owner" from "${prefix}login"`);
  await client.end();
  const { urls } = await provision({ adminUrl, prefix, modules: [small] });
  await works(urls, 'shelf', 'book');
});

/** What may have become of a module's part of the database, and what the next start says of it; mended unless told. */
const changes: Readonly<Record<string, { sql: (role: string) => string; refused?: RegExp }>> = {
  'a right that was taken': { sql: (role) => `revoke usage on schema shelf from "${role}"` },
  'the index of the relay': { sql: () => 'drop index shelf_outbox.events_pending' },
  'the version of pg-boss': { sql: () => 'update shelf_outbox.version set version = version - 1', refused: /shelf_outbox is of version/ },
  'a migration that has changed': { sql: () => `update shelf_outbox.migration set checksum = 'another' where schema = 'shelf'`, refused: /has changed since it was applied/ },
  'a migration of a newer version': { sql: () => `insert into shelf_outbox.migration (schema, name, checksum) values ('shelf', '0002-newer.sql', '')`, refused: /migrated by a newer version/ },
  'a migration that was begun': { sql: () => `insert into shelf_outbox.migration_begun (schema, name) values ('shelf', '0002-index.sql')`, refused: /was begun at/ },
};

for (const [what, { sql, refused }] of Object.entries(changes)) {
  t.test(`what is complete is seen in one look, and so is ${what}`, async (t) => {
    const server = await emptyDatabase();
    const prefix = prefixFor(t, server);
    const adminUrl = await login(server, `${prefix}login`, 'createrole', 'create');
    await provision({ adminUrl, prefix, modules: [small] });
    const looks = async () => {
      const client = new pg.Client({ connectionString: adminUrl });
      await client.connect();
      return isProvisioned(client, small, `${prefix}shelf`).finally(async () => client.end());
    };
    t.equal(await looks(), true);
    await asAdmin(server, server.name, async (client) => client.query(sql(`${prefix}shelf`)));
    t.equal(await looks(), false);
    if (refused) return t.rejects(provision({ adminUrl, prefix, modules: [small] }), { name: 'StartError', message: refused });
    await provision({ adminUrl, prefix, modules: [small] });
    t.equal(await looks(), true, 'and mended by the next start');
  });
}

/** What may have got lost, and what the next start says of it; nothing where it has no need of it. */
const losses: Readonly<Record<string, { sql: string; lost?: string }>> = {
  'a column': { sql: 'alter table shelf.book drop column title', lost: 'shelf.book.title' },
  'a column by its name': { sql: 'alter table shelf.book rename title to heading', lost: 'shelf.book.title' },
  'a table': { sql: 'drop table shelf.book', lost: 'shelf.book' },
  'a table of the kernel': { sql: 'drop table shelf_outbox.inbox', lost: 'shelf_outbox.inbox' },
  'a column of the kernel': { sql: 'alter table shelf_outbox.saga drop column tracestate', lost: 'shelf_outbox.saga.tracestate' },
  'a schema that a backup was without': { sql: 'drop schema shelf cascade', lost: 'shelf.book, shelf.leaf, shelf.loan, shelf.mark, shelf.page, and 1 more' },
  'nothing, but somebody has added something': { sql: 'alter table shelf.book add column blurb text not null; create table shelf.scrap (id int)' },
  'nothing: a view stands in the place of a table': { sql: 'alter table shelf.book rename to tome; create view shelf.book as select * from shelf.tome' },
};

t.test('a database that has lost a table or a column is refused, and it is said which', async (t) => {
  const tables = ['leaf', 'loan', 'mark', 'page', 'reader'].map((name) => `create table ${name} (id int primary key)`).join(';');
  const library: MigrationSource = { name: 'shelf', extensions: [], files: [{ name: '0001-initial.sql', sql: `create table book (id uuid primary key, title text not null);${tables}` }] };
  for (const [what, { sql, lost }] of Object.entries(losses)) {
    const server = await emptyDatabase();
    const prefix = prefixFor(t, server);
    const start = async () => provision({ adminUrl: server.adminUrl, prefix, modules: [library] });
    await start();
    await asAdmin(server, server.name, async (client) => client.query(sql));
    if (lost === undefined) await t.resolves(start(), what);
    else await t.rejects(start(), { name: 'StartError', message: `the database has lost what its migrations had made: ${lost}`, remedy: /Restore all of it from a backup, or use an empty database/ }, what);
  }
});

t.test('a version with one more migration is not taken for complete', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = await login(server, `${prefix}login`, 'createrole', 'create');
  await provision({ adminUrl, prefix, modules: [small] });
  const newer: MigrationSource = { ...small, files: [...small.files, { name: '0002-shelf-mark.sql', sql: 'create table shelf_mark (id uuid primary key)' }] };
  const { urls } = await provision({ adminUrl, prefix, modules: [newer] });
  await works(urls, 'shelf', 'shelf_mark');
});

t.test('two deployments on one server may start at the same moment', async (t) => {
  const [one, other] = [await emptyDatabase(), await emptyDatabase()];
  const prefix = prefixFor(t, one);
  t.teardown(async () => other.drop());
  await Promise.all([one, other].flatMap(({ adminUrl }) => [1, 2].map(async () => provision({ adminUrl, prefix, modules: [small, { ...small, name: 'desk' }] }))));
  t.pass();
});

t.test('a role has no password that follows from nothing secret', async (t) => {
  const server = await emptyDatabase();
  const prefix = prefixFor(t, server);
  const adminUrl = new URL(server.adminUrl);
  // This login finds its password elsewhere; the roles would find none, and there is nothing here to derive one from.
  const file = join(t.testdir(), 'pgpass');
  await writeFile(file, `*:*:*:*:${decodeURIComponent(adminUrl.password).replaceAll(/[:\\]/g, '\\$&')}\n`, { mode: 0o600 });
  adminUrl.password = '';
  process.env['PGPASSFILE'] = file;
  t.teardown(() => delete process.env['PGPASSFILE']);
  await t.rejects(provision({ adminUrl: adminUrl.href, prefix, modules: [small] }), { name: 'StartError', message: /asks the roles of the modules for passwords/ });
  const found = await asAdmin(server, server.name, async (client) => client.query('select rolname from pg_authid where rolname like $1 and rolpassword is not null', [`${prefix}%`]));
  t.strictSame(found.rows, []);
});

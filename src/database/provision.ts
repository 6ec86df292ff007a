/**
 * Makes the database ready for a set of modules: for each an owner role without login, a runtime role without
 * DDL, its schema, its outbox schema with pg-boss and the kernel's tables, and its migrations (invariant I3).
 * Runs at every start under one advisory lock; a database that is up to date costs a query per module and one more.
 * Roles belong to the server, and each step is whole or not at all: whoever is killed half way, or starts for another
 * database at the same moment, leaves nothing that the next start does not complete.
 */
import { createHmac } from 'node:crypto';
import pg from 'pg';
import { StartError } from '../settings/start-error.ts';
import { takeLock } from './advisory-lock.ts';
import { migrate } from './migrate.ts';
import type { MigrationSource } from './migration-files.ts';
import { kernelTables, outboxQueue } from './kernel-tables.ts';
import { isProvisioned } from './provisioned.ts';
import { requireTables } from './required-tables.ts';

export interface ProvisionOptions {
  /** Connection string of a login that may create roles and schemas. */
  readonly adminUrl: string;
  /** Roles are called `<prefix><module>` and `<prefix><module>_owner`. */
  readonly prefix: string;
  readonly modules: readonly MigrationSource[];
  /** Is told what a start waits for. */
  readonly note?: (line: string) => void;
}

export interface Provisioned {
  /** Connection string of each module's runtime role. */
  readonly urls: Readonly<Record<string, string>>;
  /** Connection string of the role that only listens, notifies and takes advisory locks. */
  readonly kernelUrl: string;
}

const LOCK = 'cleave:provision';
const NOTE_AFTER_MS = 1_000;
const OLDEST_SERVER = 15;
const DUPLICATE_OBJECT = '42710';
const UNIQUE_VIOLATION = '23505';
const INSUFFICIENT_PRIVILEGE = '42501';
const BAD_PASSWORD = ['28P01', '28000'];

export async function provision(options: ProvisionOptions): Promise<Provisioned> {
  const client = await connect(options.adminUrl);
  try {
    await requirePostgres(client);
    await waitForTurn(client, options);
    await createRoles(client, options);
    await forbidTemporaryTables(client);
    for (const module of options.modules) await provisionModule(client, options, module);
    await requireTables(client, options.modules);
    return { urls: Object.fromEntries(options.modules.map(({ name }) => [name, roleUrl(options, name)])), kernelUrl: roleUrl(options, 'kernel') };
  } finally {
    await client.end();
  }
}

/** @throws StartError when the server is too old */
async function requirePostgres(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ number: number; name: string }>(`select current_setting('server_version_num')::int as number, current_setting('server_version') as name`);
  const { number, name } = rows[0]!;
  if (number < OLDEST_SERVER * 10_000) throw new StartError(`the database server is PostgreSQL ${name}`, `Use PostgreSQL ${OLDEST_SERVER} or newer; without DATABASE_URL the shop brings its own.`);
}

/** Says so, once, when it takes long. */
async function waitForTurn(client: pg.Client, { note }: ProvisionOptions): Promise<void> {
  let isTold = false;
  await takeLock(client, LOCK, (waitedMs) => {
    if (isTold || waitedMs < NOTE_AFTER_MS) return;
    note?.('Another process is preparing the database: waiting for it.');
    isTold = true;
  });
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000, application_name: 'cleave:provision' });
  // A connection that is lost fails the statement in hand, or the next one.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    throw new StartError(`the database at ${place(url)} cannot be reached: ${(error as Error).message}`, 'Start it, or mend DATABASE_URL; without DATABASE_URL the shop brings its own.');
  }
}

/** Everybody may make temporary tables by default; roles at run time make no tables at all (invariant I3). */
async function forbidTemporaryTables(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ database: string; owned: boolean }>(
    `select datname as database, pg_has_role(datdba, 'usage') as owned from pg_database
     where datname = current_database() and exists (select from aclexplode(coalesce(datacl, acldefault('d', datdba))) where grantee = 0 and privilege_type = 'TEMPORARY')`,
  );
  // Somebody else's database: what everybody may do there is not this login's to decide.
  if (rows[0]?.owned) await client.query(`revoke temporary on database ${quote(rows[0].database)} from public`);
}

async function createRoles(client: pg.Client, options: ProvisionOptions): Promise<void> {
  const wanted = ['kernel', ...options.modules.flatMap(({ name }) => [name, `${name}_owner`])];
  const names = wanted.map((name) => roleName(options.prefix, name));
  const existing = await connecting(client, names);
  const missing = wanted.filter((name) => !existing.has(roleName(options.prefix, name)));
  if (missing.length > 0) {
    await requireOwnSchemas(client, options);
    await requireCreateRole(client);
  }
  for (const name of missing) await createRole(client, options, name);
  if (missing.length > 0 || [...existing.values()].includes(false)) await letConnect(client, names);
  await repairPasswords(client, options, wanted);
}

/** Of these roles those that there are, and whether they may connect, or need not. */
async function connecting(client: pg.Client, names: readonly string[]): Promise<Map<string, boolean>> {
  const { rows } = await client.query<{ name: string; connects: boolean }>(
    `select rolname as name, not rolcanlogin or has_database_privilege(rolname, current_database(), 'connect') as connects from pg_roles where rolname = any($1)`,
    [names],
  );
  return new Map(rows.map(({ name, connects }) => [name, connects]));
}

/** Everybody may by default; where that was taken back, the roles are let in by name. */
async function letConnect(client: pg.Client, names: readonly string[]): Promise<void> {
  const shutOut = async () => [...(await connecting(client, names))].filter(([, connects]) => !connects).map(([name]) => quote(name)).join(', ');
  const found = await shutOut();
  if (found === '') return;
  const { login, database } = await whereAmI(client);
  const grant = `GRANT CONNECT ON DATABASE ${quote(database)} TO ${found}`;
  await client.query(grant).catch(() => undefined);
  if ((await shutOut()) === '') return;
  throw new StartError(`the roles of the modules may not connect to the database "${database}", and the database login "${login}" may not let them`, `Let an administrator run: ${grant};`);
}

/** Another prefix asks for other roles, which cannot take over what belongs to those before. */
async function requireOwnSchemas(client: pg.Client, { prefix, modules }: ProvisionOptions): Promise<void> {
  const owners = modules.flatMap(({ name }) => [name, `${name}_outbox`].map((schema) => ({ schema, owner: roleName(prefix, `${name}_owner`) })));
  const { rows } = await client.query<{ schema: string; owner: string }>(
    `select nspname as schema, pg_get_userbyid(nspowner) as owner from pg_namespace join unnest($1::text[], $2::text[]) as wanted (schema, owner) on schema = nspname
     where pg_get_userbyid(nspowner) <> wanted.owner limit 1`,
    [owners.map(({ schema }) => schema), owners.map(({ owner }) => owner)],
  );
  if (!rows[0]) return;
  const { schema, owner } = rows[0];
  throw new StartError(`the schema "${schema}" belongs to the role "${owner}", not to one that begins with ${prefix}`, 'Set DATABASE_ROLE_PREFIX to what it was when the database was made, or use another database.');
}

async function requireCreateRole(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string; allowed: boolean }>(
    'select rolname as name, rolsuper or rolcreaterole as allowed from pg_roles where rolname = current_user',
  );
  const { name, allowed } = rows[0]!;
  if (allowed) return;
  throw new StartError(
    `the database login "${name}" may not create roles (it lacks CREATEROLE), and each module needs a role of its own`,
    `Let an administrator run: ALTER ROLE ${quote(name)} CREATEROLE; GRANT CREATE ON DATABASE <the database> TO ${quote(name)}; or start once with a DATABASE_URL that may, or without DATABASE_URL to use the embedded database.`,
  );
}

async function createRole(client: pg.Client, options: ProvisionOptions, name: string): Promise<void> {
  const role = quote(roleName(options.prefix, name));
  const create = name.endsWith('_owner') ? `create role ${role} nologin; grant ${role} to current_user` : `create role ${role} login noinherit password ${secretOf(options, name)}`;
  try {
    await client.query(create);
  } catch (error) {
    // The lock is the database's: a deployment on another database of this server may have been quicker.
    if (![DUPLICATE_OBJECT, UNIQUE_VIOLATION].includes(codeOf(error))) throw error;
  }
}

/** A login whose password was derived from another administrator's secret gets the current one. */
async function repairPasswords(client: pg.Client, options: ProvisionOptions, names: readonly string[]): Promise<void> {
  const probe = new pg.Client({ connectionString: roleUrl(options, 'kernel'), connectionTimeoutMillis: 5_000 });
  try {
    await probe.connect();
    const { rows } = await probe.query<{ name: string }>('select current_user as name');
    await probe.end();
    if (rows[0]!.name !== roleName(options.prefix, 'kernel')) throw new StartError(`DATABASE_URL is read so that the roles of the modules would sign in as "${rows[0]!.name}"`, 'Write it as postgres://user:password@host:port/database.');
  } catch (error) {
    if (error instanceof StartError) throw error;
    if (!BAD_PASSWORD.includes(codeOf(error)) && !/password/i.test((error as Error).message)) throw error;
    requirePassword(options);
    await requireCreateRole(client);
    for (const name of names.filter((each) => !each.endsWith('_owner'))) {
      await client.query(`alter role ${quote(roleName(options.prefix, name))} password ${secretOf(options, name)}`);
    }
  }
}

function requirePassword({ adminUrl }: ProvisionOptions): void {
  if (secret(adminUrl) !== '') return;
  throw new StartError(
    `the database at ${place(adminUrl)} asks the roles of the modules for passwords, and DATABASE_URL has none that theirs could be derived from`,
    'Put the password of the login into DATABASE_URL: postgres://user:password@host/database.',
  );
}

async function provisionModule(client: pg.Client, options: ProvisionOptions, module: MigrationSource): Promise<void> {
  const { prefix } = options;
  const [owner, runtime] = [roleName(prefix, `${module.name}_owner`), roleName(prefix, module.name)];
  if (await isProvisioned(client, module, runtime)) return;
  const schemas = [module.name, `${module.name}_outbox`];
  await becomeOwner(client, owner);
  await client.query('reset role');
  for (const schema of schemas) await createSchema(client, options, schema, { owner, runtime });
  for (const extension of module.extensions) await createExtension(client, extension);
  await becomeOwner(client, owner);
  try {
    await outboxQueue(client, `${module.name}_outbox`);
    await migrate(client, { schema: `${module.name}_outbox`, recordedIn: `${module.name}_outbox`, files: kernelTables });
    await migrate(client, { schema: module.name, recordedIn: `${module.name}_outbox`, files: module.files });
  } finally {
    await client.query('reset role');
  }
}

/** A role that another login has made, or whose making was cut short, has to be given to this one first. */
async function becomeOwner(client: pg.Client, owner: string): Promise<void> {
  const become = `set role ${quote(owner)}`;
  try {
    await client.query(become);
  } catch (error) {
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    await client.query(`grant ${quote(owner)} to current_user`).catch(() => undefined);
    await client.query(become).catch(async () => {
      const { login } = await whereAmI(client);
      throw new StartError(
        `the role "${owner}" exists already, and the database login "${login}" may not act as it`,
        `Let an administrator run: GRANT ${quote(owner)} TO ${quote(login)}; or choose other roles with DATABASE_ROLE_PREFIX.`,
      );
    });
  }
}

async function createSchema(client: pg.Client, options: ProvisionOptions, schema: string, { owner, runtime }: { owner: string; runtime: string }): Promise<void> {
  const { rows } = await client.query<{ usable: boolean }>(`select has_schema_privilege($2, oid, 'usage') as usable from pg_namespace where nspname = $1`, [schema, runtime]);
  if (rows[0]?.usable) return;
  const name = quote(schema);
  const create = rows[0] ? '' : `create schema ${name} authorization ${quote(owner)};`;
  const grant = `set local role ${quote(owner)};
    grant usage on schema ${name} to ${quote(runtime)};
    alter default privileges in schema ${name} grant select, insert, update, delete on tables to ${quote(runtime)}`;
  try {
    await client.query(`begin; ${create} ${grant}; commit`);
  } catch (error) {
    await client.query('rollback');
    if (codeOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
    await requireOwnSchemas(client, options);
    const { login, database } = await whereAmI(client);
    throw new StartError(
      `the database login "${login}" may not create schemas in the database "${database}", and each module needs two of its own`,
      `Let an administrator run: GRANT CREATE ON DATABASE ${quote(database)} TO ${quote(login)};`,
    );
  }
}

async function createExtension(client: pg.Client, extension: string): Promise<void> {
  try {
    await client.query(`create extension if not exists ${quote(extension)} with schema public`);
  } catch (error) {
    throw new StartError(
      `the extension ${extension} of PostgreSQL cannot be created: ${(error as Error).message}`,
      `Install the server's contrib package, or let an administrator run: CREATE EXTENSION ${quote(extension)} WITH SCHEMA public;`,
    );
  }
}

async function whereAmI(client: pg.Client): Promise<{ login: string; database: string }> {
  const { rows } = await client.query<{ login: string; database: string }>('select session_user as login, current_database() as database');
  return rows[0]!;
}

export function roleName(prefix: string, name: string): string {
  return `${prefix}${name}`.slice(0, 63);
}

/** Runtime passwords follow from the administrator's, so that every process of a deployment knows them. */
function password({ adminUrl, prefix }: ProvisionOptions, name: string): string {
  return createHmac('sha256', `cleave:${secret(adminUrl)}`).update(roleName(prefix, name)).digest('base64url');
}

function secret(adminUrl: string): string {
  return readUrl(adminUrl).password ?? '';
}

/** As the driver reads it. */
function readUrl(url: string): { readonly password?: string; readonly database: string } {
  return (new pg.Client({ connectionString: url }) as unknown as { connectionParameters: { password?: string; database: string } }).connectionParameters;
}

/** Where the administrator needs no password the modules get none: one that follows from nothing is known to all. */
function secretOf(options: ProvisionOptions, name: string): string {
  return secret(options.adminUrl) === '' ? 'null' : literal(password(options, name));
}

/** What else the administrator's says, e.g. of encryption or of a socket, holds for the roles as well. */
function roleUrl(options: ProvisionOptions, name: string): string {
  const url = new URL(options.adminUrl);
  for (const own of ['user', 'password', 'options', 'application_name']) url.searchParams.delete(own);
  // A URL without a host takes no user. Its parameter `host` goes first all the same.
  if (url.hostname === '') url.hostname = 'localhost';
  url.pathname = `/${encodeURIComponent(readUrl(options.adminUrl).database)}`;
  url.username = encodeURIComponent(roleName(options.prefix, name));
  url.password = secret(options.adminUrl) === '' ? '' : encodeURIComponent(password(options, name));
  return url.href;
}

function place(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port || 5432}${pathname}`;
}

function quote(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code);
}

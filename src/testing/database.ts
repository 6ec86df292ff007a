/**
 * Real databases for tests: one server, one migrated template, one clone of it per test file. The server is
 * the one that DATABASE_URL names, or an embedded one without fsync that all test processes of a run share.
 */
import { createHash, randomBytes } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbedded } from '../database/embedded/embedded.ts';
import { readMigrations } from '../database/migration-files.ts';
import { provision } from '../database/provision.ts';
import { discoverModules, inDependencyOrder, projectRoot } from '../host/discover.ts';
import type { AnyModule } from '../module.ts';
import { clearServerFolder, serverFolder } from './server-folder.ts';

/** Roles of test databases; apart from those of a shop that runs on the same server. */
export const TEST_ROLE_PREFIX = 'cleavetest_';

export interface TestDatabase {
  /** Superuser connection string of the clone. */
  readonly adminUrl: string;
  readonly name: string;
  /** Begins the names of its roles; default: `TEST_ROLE_PREFIX`. */
  readonly rolePrefix?: string;
  drop(): Promise<void>;
}

/** Connection string of the server's administrator. */
export async function testServer(): Promise<string> {
  if (process.env['DATABASE_URL']) return process.env['DATABASE_URL'];
  const { url } = await startEmbedded({ dataDir: serverFolder(), durable: false });
  return url;
}

/** Stops the embedded server of the tests, if there is one, unless other processes use it. */
export async function stopTestServer(): Promise<void> {
  if (process.env['DATABASE_URL']) return;
  const { stop } = await startEmbedded({ dataDir: serverFolder(), durable: false });
  await stop();
  clearServerFolder();
}

/** A fresh clone of the migrated template, which is made on first use. */
export async function cloneDatabase(): Promise<TestDatabase> {
  const server = await testServer();
  const template = await ensureTemplate(server);
  const name = `cleave_t_${randomBytes(6).toString('hex')}`;
  await administer(server, async (client) => {
    await client.query('select pg_advisory_lock(1)');
    // Copying the files takes half of what copying page by page through the log does.
    await client.query(`create database ${name} template ${template} strategy file_copy`);
  });
  return { name, adminUrl: withDatabase(server, name), drop: async () => administer(server, async (client) => void (await client.query(`drop database if exists ${name} with (force)`))) };
}

/** An empty database, for tests of provisioning itself. */
export async function emptyDatabase(): Promise<TestDatabase> {
  const server = await testServer();
  const name = `cleave_e_${randomBytes(6).toString('hex')}`;
  await administer(server, async (client) => void (await client.query(`create database ${name}`)));
  return { name, adminUrl: withDatabase(server, name), drop: async () => administer(server, async (client) => void (await client.query(`drop database if exists ${name} with (force)`))) };
}

/** Makes the template once per state of the schema files; processes that come at the same time wait for it. */
export async function ensureTemplate(server: string): Promise<string> {
  const modules = inDependencyOrder(await discoverModules());
  const name = `cleave_tpl_${await schemaFingerprint(modules)}`;
  await administer(server, async (client) => {
    await client.query('select pg_advisory_lock(1)');
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount) return;
    const building = `${name}_b`;
    await client.query(`drop database if exists ${building} with (force)`);
    await client.query(`create database ${building}`);
    await provisionTemplate(withDatabase(server, building), modules);
    await client.query(`alter database ${building} rename to ${name}`);
  });
  return name;
}

async function provisionTemplate(adminUrl: string, modules: readonly AnyModule[]): Promise<void> {
  const sources = await Promise.all(modules.map(async ({ contract, extensions }) => ({ name: contract.name, extensions: extensions ?? [], files: await readMigrations(join(projectRoot, 'migrations'), contract.name) })));
  await provision({ adminUrl, prefix: TEST_ROLE_PREFIX, modules: sources });
}

async function schemaFingerprint(modules: readonly AnyModule[]): Promise<string> {
  const hash = createHash('sha256').update(modules.map(({ contract }) => contract.name).join());
  const folders = [join(projectRoot, 'migrations'), join(projectRoot, 'src', 'database')];
  for (const folder of folders) {
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile() && /\.(sql|ts)$/.test(file.name)).map((file) => join(file.parentPath, file.name));
    for (const path of paths.sort()) hash.update(await readFile(path));
  }
  return hash.digest('hex').slice(0, 12);
}

async function administer(server: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: server, application_name: 'cleave:test' });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function withDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

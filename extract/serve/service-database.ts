/** The database of a service: one that it is given, or one of its own on a server that it shares. */
import pg from 'pg';
import { StartError } from '../../src/settings/start-error.ts';
import { databaseVariable } from './service-settings.ts';

/**
 * @param given connection strings by variable, of those that are set
 * @returns undefined where none of the modules is given one
 * @throws StartError where two modules of one service are given different ones
 */
export function givenDatabase(modules: readonly string[], given: Readonly<Record<string, unknown>>): string | undefined {
  const set = modules.map(databaseVariable).filter((variable) => given[variable] !== undefined);
  const urls = new Set(set.map((variable) => String(given[variable])));
  if (urls.size > 1) throw new StartError(`${set.join(' and ')} name different databases, but their modules run in one service`, 'Give them one database, or services of their own.');
  return [...urls][0];
}

const DUPLICATE_DATABASE = '42P04';
const UNIQUE_VIOLATION = '23505';

/** Makes the database on the server of `serverUrl` where it is missing. @returns its connection string */
export async function ownDatabase(serverUrl: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl, application_name: 'cleave:serve', connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (!rowCount) await client.query(`create database "${name}"`).catch(unlessItIsThere);
  } catch (error) {
    const { hostname, port } = new URL(serverUrl);
    throw new StartError(`the database ${name} cannot be made on the server at ${hostname}:${port || 5432}: ${(error as Error).message}`, 'Make it, and name it with the variable of the module, e.g. PAYMENTS_DATABASE_URL; or use a login that may create databases.');
  } finally {
    await client.end().catch(() => undefined);
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

/** Another replica may have been quicker. */
function unlessItIsThere(error: Error & { code?: string }): void {
  if (error.code !== DUPLICATE_DATABASE && error.code !== UNIQUE_VIOLATION) throw error;
}

/** Tables as a database has them: rows, bytes, and what would keep them from leaving. Reads only. */
import { resolve } from 'node:path';
import pg from 'pg';
import { crossingReferences, sequences, withoutPrimaryKey } from '../../src/check/table-rules.ts';
import { findHome, inHome } from '../../src/database/embedded/home.ts';
import { isServing, readPostmaster } from '../../src/database/embedded/postmaster.ts';
import { superuserUrl } from '../../src/database/embedded/server.ts';
import { projectRoot } from '../../src/host/discover.ts';
import { databaseVariable } from '../serve/service-settings.ts';

export interface TableSize {
  readonly schema: string;
  readonly name: string;
  /** Null where counting took too long, and PostgreSQL has no estimate either. */
  readonly rows: number | null;
  /** Counting took too long: PostgreSQL's own estimate. */
  readonly isEstimate: boolean;
  /** With its partitions, their indexes and what is stored beside them. */
  readonly bytes: number;
}

export interface Measured {
  readonly tables: readonly TableSize[];
  readonly keyless: readonly string[];
  readonly sequences: readonly string[];
  readonly crossing: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const CONNECT_MS = 5_000;
const COUNT_MS = 2_000;
/** query_canceled. */
const TOOK_TOO_LONG = '57014';

/** Of the module's own database, else that of DATABASE_URL, else the embedded one where it runs. */
export function databaseOf(module: string, env: Environment): string | undefined {
  return env[databaseVariable(module)] || env['DATABASE_URL'] || runningEmbedded(env);
}

function runningEmbedded(env: Environment): string | undefined {
  try {
    const home = findHome(resolve(projectRoot, env['DATA_DIR'] || '.data'));
    if (!home) return undefined;
    const { data } = inHome(home.folder);
    const server = readPostmaster(data);
    return server?.port !== undefined && isServing(server.pid, data) ? superuserUrl(home, server.port, 'cleave') : undefined;
  } catch {
    // A home that is not ours is as good as none: the plan does without sizes.
    return undefined;
  }
}

/** @throws Error of the driver where the database cannot be asked */
export async function measure(url: string, module: string): Promise<Measured> {
  const client = new pg.Client({ connectionString: url, application_name: 'cleave:plan', connectionTimeoutMillis: CONNECT_MS, statement_timeout: COUNT_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const schemas = [module, `${module}_outbox`];
    const tables = await sizes(client, schemas);
    return { tables, keyless: await withoutPrimaryKey(client, schemas), sequences: await sequences(client, schemas), crossing: await crossingReferences(client, schemas) };
  } finally {
    await client.end().catch(() => undefined);
  }
}

interface SizeRow {
  readonly schema: string;
  readonly name: string;
  readonly estimate: string | null;
  readonly bytes: string;
}

async function sizes(client: pg.Client, schemas: readonly string[]): Promise<TableSize[]> {
  const { rows } = await client.query<SizeRow>(
    `select n.nspname as schema, c.relname as name, stored.estimate, stored.bytes
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     cross join lateral (
       select sum(pg_total_relation_size(leaf.oid)) as bytes, case when min(leaf.reltuples) >= 0 then sum(leaf.reltuples)::bigint end as estimate
       from pg_class leaf where leaf.relkind = 'r' and (leaf.oid = c.oid or leaf.oid in (select relid from pg_partition_tree(c.oid)))
     ) stored
     where n.nspname = any ($1) and c.relkind in ('r', 'p') and not c.relispartition order by 1, 2`,
    [schemas],
  );
  const measured: TableSize[] = [];
  for (const { schema, name, estimate, bytes } of rows) {
    const counted = await count(client, schema, name);
    const rowCount = counted ?? (estimate === null ? null : Number(estimate));
    measured.push({ schema, name, rows: rowCount, isEstimate: counted === undefined && rowCount !== null, bytes: Number(bytes) });
  }
  return measured;
}

async function count(client: pg.Client, schema: string, name: string): Promise<number | undefined> {
  try {
    const { rows } = await client.query<{ n: string }>(`select count(*) as n from ${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`);
    return Number(rows[0]!.n);
  } catch (error) {
    if ((error as { code?: string }).code === TOOK_TOO_LONG) return undefined;
    throw error;
  }
}

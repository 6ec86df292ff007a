/**
 * Whether what the migrations have made is still there. Their records say what was applied, not what has become of it: with a table that
 * somebody has dropped, or a backup that was restored in part, the shop would start and answer 500.
 *
 * One statement for all modules, of tables and columns alone. The entities know theirs, too, but 11 of 28 tables and the kernel's own have none; what
 * is there right after the migrations could be written down, but not for databases that there are already. More than is known here may be
 * there: a newer process may have added it. pg-boss's tables are not looked at.
 */
import type pg from 'pg';
import { StartError } from '../settings/start-error.ts';
import { kernelTables } from './kernel-tables.ts';
import { type MigratedTable, tablesIn } from './migrated-tables.ts';
import type { MigrationFile, MigrationSource } from './migration-files.ts';

interface Wanted {
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
}

/** So many are named; a schema that is gone would fill the terminal. */
const NAMED = 5;

/** @throws StartError where a table or a column is missing */
export async function requireTables(client: pg.Client, modules: readonly MigrationSource[]): Promise<void> {
  const kernel = tablesOf(kernelTables);
  const wanted = modules.flatMap(({ name, files }) => [...within(name, tablesOf(files)), ...within(`${name}_outbox`, kernel)]);
  const { rows } = await client.query<Wanted>(
    `select nspname as schema, relname as table, array_agg(attname::text) as columns
     from pg_namespace n join pg_class c on relnamespace = n.oid left join pg_attribute on attrelid = c.oid and attnum > 0
     where nspname = any ($1::name[]) and relname = any ($2::name[]) group by 1, 2`,
    [distinct(wanted, ({ schema }) => schema), distinct(wanted, ({ table }) => table)],
  );
  const there = new Map(rows.map(({ schema, table, columns }) => [`${schema}.${table}`, new Set(columns)]));
  const lost = wanted.flatMap((each) => missing(each, there.get(`${each.schema}.${each.table}`)));
  if (lost.length === 0) return;
  const more = lost.length > NAMED ? `, and ${lost.length - NAMED} more` : '';
  throw new StartError(
    `the database has lost what its migrations had made: ${lost.slice(0, NAMED).join(', ')}${more}`,
    'Restore all of it from a backup, or use an empty database: what has been applied once is not applied again.',
  );
}

function tablesOf(files: readonly MigrationFile[]): MigratedTable[] {
  return tablesIn(files.map(({ sql }) => sql));
}

function within(schema: string, tables: readonly MigratedTable[]): Wanted[] {
  return tables.map(({ name, columns }) => ({ schema, table: name, columns }));
}

/** @param there columns of the table; none, where there is no such table */
function missing({ schema, table, columns }: Wanted, there: ReadonlySet<string> | undefined): string[] {
  if (!there) return [`${schema}.${table}`];
  return columns.filter((column) => !there.has(column)).map((column) => `${schema}.${table}.${column}`);
}

function distinct(wanted: readonly Wanted[], key: (each: Wanted) => string): string[] {
  return [...new Set(wanted.map(key))];
}

/**
 * Whether a module's part of the database is as provisioning would leave it, in one look instead of sixteen statements: it is so at every
 * start but the first one of a version.
 */
import type pg from 'pg';
import { EVENTS_QUEUE, kernelTables, OUTBOX_VERSION, PENDING_INDEX } from './kernel-tables.ts';
import { checksum } from './migrate.ts';
import type { MigrationSource } from './migration-files.ts';

/**
 * What cannot be looked at, because it is missing or this login may not, is not there. What the look does not see is what provisioning would
 * not mend either.
 */
export async function isProvisioned(client: pg.Client, module: MigrationSource, runtimeRole: string): Promise<boolean> {
  const outbox = `${module.name}_outbox`;
  const applied = [...appliedTo(outbox, kernelTables), ...appliedTo(module.name, module.files)];
  try {
    const { rows } = await client.query<{ done: boolean }>(
      `select has_schema_privilege($1, $2, 'usage') and has_schema_privilege($1, $3, 'usage')
         and (select version from ${outbox}.version) = $4
         and exists (select from ${outbox}.queue where name = $5) and to_regclass($6) is not null
         and not exists (select from ${outbox}.migration_begun)
         and (select array_agg(schema || '/' || name || ' ' || checksum) from ${outbox}.migration) @> $7::text[]
         and (select count(*) from ${outbox}.migration) = cardinality($7::text[])
         and (select count(*) from pg_extension where extname = any ($8)) = cardinality($8::text[]) as done`,
      [runtimeRole, module.name, outbox, OUTBOX_VERSION, EVENTS_QUEUE, `${outbox}.${PENDING_INDEX}`, applied, module.extensions],
    );
    return rows[0]!.done;
  } catch {
    return false;
  }
}

function appliedTo(schema: string, files: MigrationSource['files']): string[] {
  return files.map((file) => `${schema}/${file.name} ${checksum(file)}`);
}

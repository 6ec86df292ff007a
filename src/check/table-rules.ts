/** What must hold for tables so that a module can leave with its data, asked of a database. */

/** As much of a client as is needed. */
export interface Queries {
  query<Row extends object>(text: string, values: unknown[]): Promise<{ rows: Row[] }>;
}

/** Tables as `schema.table`. */
export async function withoutPrimaryKey(client: Queries, schemas: readonly string[]): Promise<string[]> {
  return names(
    client,
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind in ('r', 'p')
       and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary) order by 1`,
    schemas,
  );
}

export async function sequences(client: Queries, schemas: readonly string[]): Promise<string[]> {
  return names(
    client,
    `select n.nspname || '.' || c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = any ($1) and c.relkind = 'S' order by 1`,
    schemas,
  );
}

/** Foreign keys by constraint, views and SQL-standard functions by what they depend on. */
export async function crossingReferences(client: Queries, schemas: readonly string[]): Promise<string[]> {
  return names(
    client,
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
    schemas,
  );
}

async function names(client: Queries, query: string, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(query, [schemas]);
  return rows.map(({ name }) => name);
}

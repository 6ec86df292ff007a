/** Modules that have a database each, gathered in one to look at: their tables are there as foreign ones, and read where they are. */
import pg from 'pg';

/** @param apart connection strings of the modules' databases, by module */
export async function gather(adminUrl: string, apart: Readonly<Record<string, string>>): Promise<void> {
  const into = new pg.Client({ connectionString: adminUrl });
  await into.connect();
  await into.query('create extension if not exists postgres_fdw');
  for (const [module, url] of Object.entries(apart)) await attach(into, module, new URL(url));
  await into.end();
}

async function attach(into: pg.Client, module: string, url: URL): Promise<void> {
  const literal = (text: string): string => pg.escapeLiteral(decodeURIComponent(text));
  const { hostname, port, username, password, pathname } = url;
  await into.query(`create server ${module} foreign data wrapper postgres_fdw options (host ${literal(hostname)}, port ${literal(port || '5432')}, dbname ${literal(pathname.slice(1))})`);
  await into.query(`create user mapping for current_user server ${module} options (user ${literal(username)}, password ${literal(password)})`);
  for (const schema of [module, `${module}_outbox`]) {
    await into.query(`create schema ${schema}`);
    for (const statement of await enumsOf(schema, url)) await into.query(statement);
    await into.query(`import foreign schema ${schema} from server ${module} into ${schema}`);
  }
}

/** Foreign tables have the types of their originals, which an import does not bring along. */
async function enumsOf(schema: string, url: URL): Promise<string[]> {
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  const { rows } = await client.query<{ statement: string }>(
    `select format('create type %I.%I as enum (%s)', $1::text, typname, string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)) as statement
     from pg_type join pg_enum on enumtypid = pg_type.oid where typnamespace = $1::regnamespace group by typname`,
    [schema],
  );
  await client.end();
  return rows.map(({ statement }) => statement);
}

/** What a shop has stored, for tests that want to see that nothing came of what was refused. */
import { discoverModules, type TestShop } from '#testing';
import { Books } from '../torture/books.testing.ts';

/** Of what is the kernel's in a module's outbox; pg-boss tends its own tables whether anything happens or not. */
const KERNEL_TABLES = ['inbox', 'event_delivery', 'saga', 'note', 'job'];

const CONTENTS = `
  select format('%I.%I', schemaname, tablename) as name,
         (xpath('/row/contents/text()', query_to_xml(
            format('select count(*) || '' rows, '' || md5(coalesce(string_agg(t::text, '','' order by t::text), '''')) as contents from %I.%I t', schemaname, tablename),
            true, true, '')))[1]::text as contents
    from pg_tables
   where schemaname = $1 or (schemaname = $1 || '_outbox' and tablename = any($2))`;

/**
 * How many rows each table has, and a digest of them: a row that was changed shows, too. Waits until nothing is under way.
 * @throws Error when that takes too long
 */
export async function storedAtRest(shop: TestShop): Promise<Record<string, string>> {
  const modules = (await discoverModules()).map(({ contract }) => contract.name);
  const books = new Books(shop.adminUrl, Object.fromEntries(modules.map((module) => [module, shop.adminUrlOf(module)])));
  await books.mustRest().finally(async () => books.close());
  const tables = await Promise.all(modules.map(async (module) => shop.sql<{ name: string; contents: string }>(module, CONTENTS, [module, KERNEL_TABLES])));
  return Object.fromEntries(tables.flat().map(({ name, contents }) => [name, contents]));
}

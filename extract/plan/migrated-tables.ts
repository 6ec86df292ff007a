/** What migrations make, read off their text: for a plan without a database. */

export interface MigratedTable {
  readonly name: string;
  readonly hasPrimaryKey: boolean;
  readonly hasSequence: boolean;
}

const CREATED = /^create (?:unlogged )?table (?:if not exists )?"?(\w+)"?\s*\(([\s\S]*)/i;
const ALTERED = /^alter table (?:if exists )?(?:only )?"?(\w+)"?\s+([\s\S]*)/i;
const RENAMED = /^rename to "?(\w+)/i;
const DROPPED = /^drop table (?:if exists )?"?(\w+)/i;
const KEY = /\bprimary\s+key\b/i;
const NUMBERED = /\b(?:small|big)?serial\b|\bas\s+identity\b|\bnextval\b/i;

/** @param scripts of a module, in their order */
export function tablesIn(scripts: readonly string[]): MigratedTable[] {
  const tables = new Map<string, MigratedTable>();
  for (const statement of scripts.flatMap((sql) => withoutComments(sql).split(';')).map((text) => text.trim())) carryOut(statement, tables);
  return [...tables.values()];
}

function carryOut(statement: string, tables: Map<string, MigratedTable>): void {
  const [, created, columns = ''] = CREATED.exec(statement) ?? [];
  if (created !== undefined) tables.set(created, { name: created, hasPrimaryKey: KEY.test(columns), hasSequence: NUMBERED.test(columns) });
  const [, dropped] = DROPPED.exec(statement) ?? [];
  if (dropped !== undefined) tables.delete(dropped);
  const [, altered, change = ''] = ALTERED.exec(statement) ?? [];
  const table = altered === undefined ? undefined : tables.get(altered);
  if (!table) return;
  const name = RENAMED.exec(change)?.[1] ?? table.name;
  if (name !== table.name) tables.delete(table.name);
  tables.set(name, { name, hasPrimaryKey: table.hasPrimaryKey || KEY.test(change), hasSequence: table.hasSequence || NUMBERED.test(change) });
}

function withoutComments(sql: string): string {
  return sql.replaceAll(/--.*$/gm, '');
}

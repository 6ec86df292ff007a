/**
 * What migrations make, read off their text: for a plan without a database, and for a start that looks whether all of it is there. Statements of other
 * forms are passed over. `src/check/tables.test.ts` compares with what there is once they have been applied.
 */

export interface MigratedTable {
  readonly name: string;
  readonly columns: readonly string[];
  readonly hasPrimaryKey: boolean;
  readonly hasSequence: boolean;
}

/** Comments, texts and function bodies go; quoted names stay. */
const UNREAD = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|(\$[a-z_]*\$)[\s\S]*?\1|("(?:[^"]|"")*")/gi;
const NAME = '(?:\\w+\\.)?("[^"]+"|\\w+)';
const CREATED = new RegExp(`^create (?:unlogged )?table (?:if not exists )?${NAME} ?\\((.*)`, 'i');
const ALTERED = new RegExp(`^alter table (?:if exists )?(?:only )?${NAME} (.*)`, 'i');
const DROPPED = /^drop table (?:if exists )?(.*)/i;
const RENAMED = new RegExp(`^rename to ${NAME}`, 'i');
const COLUMN = /^(?!(?:constraint|primary|foreign|unique|check|exclude|like)\b)("[^"]+"|\w+)/i;
const COLUMN_ADDED = /^add (?:column )?(?:if not exists )?(.*)/i;
const COLUMN_DROPPED = new RegExp(`^drop (?!constraint )(?:column )?(?:if exists )?${NAME}`, 'i');
const COLUMN_RENAMED = new RegExp(`^rename (?:column )?${NAME} to ${NAME}`, 'i');
const KEY = /\bprimary key\b/i;
const NUMBERED = /\b(?:small|big)?serial\b|\bas identity\b|\bnextval\b/i;

/** @param scripts of a module, in their order */
export function tablesIn(scripts: readonly string[]): MigratedTable[] {
  const tables = new Map<string, MigratedTable>();
  for (const statement of scripts.flatMap(statementsOf)) carryOut(statement, tables);
  return [...tables.values()];
}

/** Each in one line. */
function statementsOf(sql: string): string[] {
  const read = sql.replaceAll(UNREAD, (_, _tag, name?: string) => name ?? ' ');
  return read.split(';').map((statement) => statement.replaceAll(/\s+/g, ' ').trim());
}

function carryOut(statement: string, tables: Map<string, MigratedTable>): void {
  const created = CREATED.exec(statement);
  if (created) create(nameOf(created[1]!), created[2]!, tables);
  for (const name of partsOf(DROPPED.exec(statement)?.[1] ?? '')) tables.delete(nameOf(new RegExp(NAME).exec(name)![1]!));
  const altered = ALTERED.exec(statement);
  const table = altered && tables.get(nameOf(altered[1]!));
  if (!table) return;
  const changed = partsOf(altered[2]!).reduce(change, table);
  if (changed.name !== table.name) tables.delete(table.name);
  tables.set(changed.name, changed);
}

function create(name: string, body: string, tables: Map<string, MigratedTable>): void {
  if (tables.has(name)) return;
  const columns = partsOf(body).flatMap(columnIn);
  tables.set(name, { name, columns, hasPrimaryKey: KEY.test(body), hasSequence: NUMBERED.test(body) });
}

function change(table: MigratedTable, action: string): MigratedTable {
  const renamed = RENAMED.exec(action);
  if (renamed) return { ...table, name: nameOf(renamed[1]!) };
  return { ...table, columns: columnsAfter(table.columns, action), hasPrimaryKey: table.hasPrimaryKey || KEY.test(action), hasSequence: table.hasSequence || NUMBERED.test(action) };
}

function columnsAfter(columns: readonly string[], action: string): readonly string[] {
  const [, from, to] = COLUMN_RENAMED.exec(action) ?? [];
  if (from !== undefined) return columns.map((column) => (column === nameOf(from) ? nameOf(to!) : column));
  const [, dropped] = COLUMN_DROPPED.exec(action) ?? [];
  if (dropped !== undefined) return columns.filter((column) => column !== nameOf(dropped));
  return [...new Set([...columns, ...columnIn(COLUMN_ADDED.exec(action)?.[1] ?? '')])];
}

/** The column that a part of a table's definition is about; none, where it is a constraint. */
function columnIn(part: string): string[] {
  const [, name] = COLUMN.exec(part) ?? [];
  return name === undefined ? [] : [nameOf(name)];
}

/** What stands between commas outside parentheses, up to one that closes what was opened before. */
function partsOf(list: string): string[] {
  const parts = [''];
  let depth = 0;
  for (const char of list) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (depth < 0) break;
    if (char === ',' && depth === 0) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** As the database has it: without quotes, in lower case where it had none. */
function nameOf(written: string): string {
  return written.startsWith('"') ? written.slice(1, -1) : written.toLowerCase();
}

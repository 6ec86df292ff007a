/** What migrations make, read off their text: for a plan without a database. */

export interface MigratedTable {
  readonly name: string;
  readonly hasPrimaryKey: boolean;
  readonly hasSequence: boolean;
}

const CREATED = /^\s*create (?:unlogged )?table (?:if not exists )?"?(\w+)"?\s*\(([\s\S]*?)^\s*\)[^;]*;/gim;
const KEY = /\bprimary\s+key\b/i;
const NUMBERED = /\b(?:small|big)?serial\b|\bas\s+identity\b|\bnextval\b/i;

/** @param scripts of a module, in their order */
export function tablesIn(scripts: readonly string[]): MigratedTable[] {
  return scripts.flatMap((sql) => [...withoutComments(sql).matchAll(CREATED)].map(([, name, columns]) => ({ name: name!, hasPrimaryKey: KEY.test(columns!), hasSequence: NUMBERED.test(columns!) })));
}

function withoutComments(sql: string): string {
  return sql.replaceAll(/--.*$/gm, '');
}

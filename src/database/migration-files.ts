/** The files of a module's migrations, as they lie in `migrations/<module>/`. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartError } from '../settings/start-error.ts';

export interface MigrationFile {
  /** `NNNN-title.sql`; files run in the order of their names. */
  readonly name: string;
  readonly sql: string;
}

export interface MigrationSource {
  readonly name: string;
  readonly files: readonly MigrationFile[];
  /** Trusted extensions that the module's tables need; created in `public` by the administrator. */
  readonly extensions: readonly string[];
}

const NAME = /^[0-9]{4}-[a-z0-9]+(-[a-z0-9]+)*\.sql$/;
/** First line of a file whose one statement cannot run in a transaction, such as `create index concurrently`. */
const OUTSIDE = /^-- outside a transaction\b/;
/** What would end or begin a transaction, as the first word of a statement. */
const CONTROL = /^(begin|start|commit|end|rollback|abort|savepoint|release|prepare\s+transaction)\b/i;
/** Comments, texts, quoted names and function bodies: what stands in them is no statement of the file. */
const QUOTED = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|(\$[a-z_]*\$)[\s\S]*?\1/gi;

/**
 * Reads `<root>/<module>/*.sql`; a module without a folder has no tables.
 * @throws StartError for a file that could not be applied as a whole, or whose place in the order is not clear
 */
export async function readMigrations(root: string, module: string): Promise<MigrationFile[]> {
  const folder = join(root, module);
  const names = await readdir(folder).catch(() => []);
  const files = names.filter((name) => name.endsWith('.sql')).sort();
  const read = await Promise.all(files.map(async (name) => ({ name, sql: await readFile(join(folder, name), 'utf8') })));
  requireOrder(module, files);
  for (const file of read) requireWhole(module, file);
  return read;
}

/** Whether the file runs outside a transaction, so that a failure may leave a part of it behind. */
export function runsOutside({ sql }: MigrationFile): boolean {
  return OUTSIDE.test(sql);
}

function requireOrder(module: string, names: readonly string[]): void {
  for (const [index, name] of names.entries()) {
    if (!NAME.test(name)) throw new StartError(`the migration ${module}/${name} is not named as one`, 'Name it NNNN-title.sql: four digits, then words of small letters and digits with hyphens between.');
    const next = names[index + 1];
    if (next?.slice(0, 4) !== name.slice(0, 4)) continue;
    throw new StartError(`the migrations ${module}/${name} and ${module}/${next} have the same number`, 'Give the one that has been applied nowhere yet the next free number.');
  }
}

function requireWhole(module: string, file: MigrationFile): void {
  const statements = file.sql.replace(QUOTED, ' ').split(';').map((statement) => statement.trim());
  const control = statements.find((statement) => CONTROL.test(statement));
  if (control === undefined) return;
  throw new StartError(
    `the migration ${module}/${file.name} controls transactions (${control.split(/\s/, 1)[0]})`,
    'Take that out: each file is one transaction. A single statement that can run in none follows the line "-- outside a transaction".',
  );
}

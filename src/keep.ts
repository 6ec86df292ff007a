/**
 * What a process on a development machine leaves in its data folder for tools such as the demo: secrets that it has made up,
 * each in a file of the database that it is good for, and where the shop can be reached.
 *
 *   admin.json        of the embedded database; admin-<hash>.json: of the one with that host, port and name
 *   running.json      url, process id and the names of the files of the shop that was started last; gone when it has ended
 */
import { createHash } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeFolder } from './make-folder.ts';
import { StartError } from './settings/start-error.ts';

type Members = Readonly<Record<string, string>>;

export interface Keeper {
  /** Keeps a secret until it is replaced. @throws StartError where it cannot be written */
  keep(name: string, secret: Members): Promise<void>;
  /** What is kept under the name; undefined where nothing is, or nothing that can be read. */
  find(name: string): Promise<Readonly<Record<string, unknown>> | undefined>;
  /** Removes what is kept under the name, if it holds these members. */
  forget(name: string, members: Members): Promise<void>;
}

/** @param database connection string of the database that the secrets belong to; none: the embedded one */
export function keepIn(dataDir: string, database?: string): Keeper {
  const fileOf = (name: string): string => join(folderOf(dataDir), keptAs(name, database));
  return {
    async keep(name, secret) {
      try {
        makeFolder(folderOf(dataDir));
        await writeWhole(fileOf(name), secret);
      } catch (error) {
        throw new StartError(
          `${fileOf(name)} cannot be written: ${(error as Error).message}`,
          'Set DATA_DIR to a folder that this user may write to.',
          { cause: error },
        );
      }
    },
    find: async (name) => readObject(fileOf(name)),
    async forget(name, members) {
      const kept = await readObject(fileOf(name));
      if (kept && Object.entries(members).every(([key, value]) => kept[key] === value)) await remove(fileOf(name));
    },
  };
}

/** Tells tools where the shop is. A folder that cannot be written to keeps nobody from selling. @returns what takes it back, nothing where it could not be told */
export async function announce(dataDir: string, url: string, database?: string): Promise<(() => Promise<void>) | undefined> {
  const file = join(folderOf(dataDir), 'running.json');
  try {
    makeFolder(folderOf(dataDir));
    await writeWhole(file, { url, pid: process.pid, admin: keptAs('admin', database) });
  } catch {
    return undefined;
  }
  // Another shop on the same folder may have told of itself since.
  return async () => ((await readObject(file))?.['pid'] === process.pid ? remove(file) : undefined);
}

/** The login does not tell one database from another, and a password must not be in a hash that anybody may read. */
function keptAs(name: string, database: string | undefined): string {
  if (database === undefined) return `${name}.json`;
  const { hostname, port, pathname, searchParams } = new URL(database);
  const identity = [searchParams.get('host') ?? hostname, port || '5432', pathname].join(' ');
  return `${name}-${createHash('sha256').update(identity).digest('hex').slice(0, 8)}.json`;
}

function folderOf(dataDir: string): string {
  return resolve(import.meta.dirname, '..', dataDir);
}

/** Readers find the old text or the new one, and nobody else may read either. */
async function writeWhole(file: string, content: object): Promise<void> {
  const aside = `${file}.${process.pid}`;
  await writeFile(aside, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  await rename(aside, file);
}

/** What cannot be removed is out of date from now on; tools that meet it say so. */
async function remove(file: string): Promise<void> {
  await rm(file, { force: true }).catch(() => undefined);
}

async function readObject(file: string): Promise<Record<string, unknown> | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

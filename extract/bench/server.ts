/** The benchmark's PostgreSQL, and the databases on it: one that the shop fills, and clones of it. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbedded } from '../../src/database/embedded/embedded.ts';
import { alsoOnSignal } from './also-on-signal.ts';
import { asSessionsAre, type Grouped, type Grouping } from './one-group.ts';

export interface Server {
  readonly version: string;
  /** How it and the shops that are measured on it share processors. */
  readonly grouping: Grouping;
  /** Begins the names of the roles that the shop makes here; gone with the server's databases. */
  readonly rolePrefix: string;
  /** @returns the new database's connection string */
  create(name: string, template?: string): Promise<string>;
  /** Writes out what is dirty, so that no round pays for the one before. */
  checkpoint(): Promise<void>;
  /** Leaves nothing behind; a signal that ends the process does it, too. */
  stop(): Promise<void>;
}

/**
 * The server that DATABASE_URL names, or an embedded one, as durable as the shop's own, in a folder for temporary files.
 * @param group is left when the server has stopped, or has not started
 */
export async function startServer(group: Grouped = asSessionsAre): Promise<Server> {
  try {
    return await serverIn(group);
  } catch (error) {
    // What did not start is what is told of.
    await group.leave().catch(() => undefined);
    throw error;
  }
}

async function serverIn(group: Grouped): Promise<Server> {
  const given = process.env['DATABASE_URL'];
  if (given) return serverAt(given, { ...group, grouping: group.grouping === 'in one group' ? 'but the database in one group' : group.grouping }, async () => undefined);
  const dataDir = await mkdtemp(join(tmpdir(), 'cleave-bench-'));
  // Where we are root, the database runs as another user, who must get in.
  await chmod(dataDir, 0o755);
  const embedded = await startEmbedded({ dataDir });
  return serverAt(embedded.url, group, async () => {
    await embedded.stop();
    await rm(dataDir, { recursive: true, force: true });
  });
}

async function serverAt(url: string, { grouping, leave }: Grouped, stop: () => Promise<void>): Promise<Server> {
  const run = `cleavebench_${randomBytes(3).toString('hex')}_`;
  const made: string[] = [];
  const admin = new pg.Client({ connectionString: url, application_name: 'cleave:bench' });
  await admin.connect();
  const { rows } = await admin.query<{ server_version: string }>('show server_version');
  return {
    version: rows[0]!.server_version,
    grouping,
    rolePrefix: run,
    async create(name, template) {
      await admin.query(`create database ${run}${name}${template ? ` template ${run}${template}` : ''}`);
      made.push(`${run}${name}`);
      const database = new URL(url);
      database.pathname = `/${run}${name}`;
      return database.href;
    },
    checkpoint: async () => void (await admin.query('checkpoint')),
    stop: alsoOnSignal(async () => {
      for (const name of made) await admin.query(`drop database ${name} with (force)`);
      const roles = await admin.query<{ rolname: string }>(`select rolname from pg_roles where starts_with(rolname, $1) order by rolname`, [run]);
      for (const { rolname } of roles.rows) await admin.query(`drop role ${rolname}`);
      await admin.end();
      await stop();
      await leave();
    }),
  };
}

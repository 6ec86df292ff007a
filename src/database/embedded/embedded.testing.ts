/** What tests of the embedded server share: folders that go away, servers that end with their test, other processes that use one. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import type { TestScope } from '../../testing/scope.ts';
import { type Embedded, startEmbedded } from './embedded.ts';
import { readPostmaster } from './postmaster.ts';

/** A data folder that goes away with the test; `closed` makes its parent one that only its owner may enter. */
export function dataFolder(t: TestScope, { closed = false } = {}): string {
  const project = mkdtempSync(join(tmpdir(), 'cleave-embedded-'));
  if (!closed) chmodSync(project, 0o755);
  t.teardown(() => rmSync(project, { recursive: true, force: true }));
  return join(project, '.data');
}

/** Starts it and makes sure that it ends with the test. */
export async function start(t: TestScope, dataDir: string, { lines = [] as string[], durable = false, keepRunning = false } = {}): Promise<Embedded> {
  const embedded = await startEmbedded({ dataDir, durable, keepRunning, log: (line) => lines.push(line) });
  t.teardown(() => embedded.stop());
  return embedded;
}

export async function query<R extends object>(url: string, text: string): Promise<R[]> {
  const client = new pg.Client(url);
  // A server that is killed; the query tells of it, too.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<R>(text)).rows;
  } finally {
    await client.end();
  }
}

export interface Outsider {
  readonly child: ChildProcess;
  readonly started: Promise<{ url: string; adopted: boolean }>;
}

/** Another process that starts the database and keeps it until it is killed or told to stop with SIGTERM. */
export function outsider(dataDir: string, { keepRunning = false } = {}): Outsider {
  const program = `
    const { startEmbedded } = await import(${JSON.stringify(new URL('embedded.ts', import.meta.url).href)});
    const embedded = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, durable: false, keepRunning: ${keepRunning} });
    process.once('SIGTERM', () => embedded.stop().then(() => process.exit(0)));
    setInterval(() => {}, 1000);
    console.log(JSON.stringify(embedded));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const started = once(createInterface(child.stdout), 'line').then(([line]) => JSON.parse(line as string) as Awaited<Outsider['started']>);
  return { child, started };
}

export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await once(child, 'exit');
}

export function serverOf(dataDir: string) {
  return readPostmaster(join(realpathSync(join(dataDir, 'postgres')), 'data'));
}

/** A topology as `npm run extract -- up` runs it, and what can be done to its processes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectRoot } from '../../src/host/discover.ts';
import { freePort } from '../../src/testing/free-port.ts';
import { administrator } from '../torture/real-shop.testing.ts';
import type { UpReport } from '../up/report.ts';
import type { Affliction } from './affliction.ts';

const PATIENCE_MS = 60_000;

export interface DeploymentOptions {
  /** Modules by service. One service alone has no gateway in front. */
  readonly services: Readonly<Record<string, readonly string[]>>;
  /** Of a database on the server where each service gets one of its own, whose name begins with that one's. */
  readonly adminUrl: string;
  readonly rolePrefix: string;
  readonly settings: Readonly<Record<string, string>>;
}

export class Deployment {
  readonly url: string;
  readonly #up: ChildProcess;
  readonly #folder: string;
  readonly #pids: Map<string, number>;
  readonly #ended: Promise<unknown>;
  /** What `up` says of processes that end and come back. */
  readonly said: string[] = [];

  private constructor(up: ChildProcess, folder: string, { url, processes }: UpReport) {
    this.#up = up;
    this.#folder = folder;
    this.url = url;
    this.#pids = new Map(processes.map(({ name, pid }) => [name, pid]));
    this.#ended = once(up, 'close');
    createInterface(up.stderr!).on('line', (line) => this.#hear(line));
  }

  static async start({ services, adminUrl, rolePrefix, settings }: DeploymentOptions): Promise<Deployment> {
    const folder = await mkdtemp(join(tmpdir(), 'cleave-blast-'));
    const topology = join(folder, 'topology.yaml');
    await writeFile(topology, JSON.stringify(await topologyOf(services, adminUrl)));
    const up = spawn(process.execPath, [join(projectRoot, 'extract', 'extract.ts'), 'up', '--topology', topology, '--json'], {
      cwd: projectRoot,
      env: { PATH: process.env['PATH'], ...environment(folder), DATABASE_URL: adminUrl, DATABASE_ROLE_PREFIX: rolePrefix, ...settings },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const [line] = await Promise.race([once(createInterface(up.stdout!), 'line'), once(up, 'close').then(() => [])]);
    if (line === undefined) throw new Error(`the deployment did not start: ${String(up.stderr!.read())}`);
    return new Deployment(up, folder, JSON.parse(line as string) as UpReport);
  }

  signal(service: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.#pids.get(service)!, signal);
  }

  async afflict(service: string, affliction: Affliction): Promise<void> {
    await writeFile(join(this.#folder, 'affliction.json'), JSON.stringify(affliction));
    process.kill(this.#pids.get(service)!, 'SIGUSR2');
  }

  /** Waits until a service that has ended is ready again. @returns when that was, as `performance.now()` tells it */
  async untilBack(service: string): Promise<number> {
    const before = this.#pids.get(service);
    for (const givenUpAt = performance.now() + PATIENCE_MS; this.#pids.get(service) === before; await sleep(10)) {
      if (performance.now() > givenUpAt) throw new Error(`${service} does not come back: ${this.said.slice(-5).join('; ')}`);
    }
    return performance.now();
  }

  async stop(): Promise<void> {
    this.#up.kill('SIGTERM');
    await this.#ended;
    await rm(this.#folder, { recursive: true, force: true });
  }

  #hear(line: string): void {
    this.said.push(line);
    const [, name, pid] = /^(\S+) is ready again \(process (\d+)\)$/.exec(line) ?? [];
    if (name !== undefined) this.#pids.set(name, Number(pid));
  }
}

function environment(folder: string): Record<string, string> {
  return {
    DATA_DIR: folder,
    AFFLICTION: join(folder, 'affliction.json'),
    NODE_OPTIONS: `--import=${new URL('affliction.ts', import.meta.url).href}`,
    LOG_LEVEL: 'error',
    SEED_DEMO: 'false',
    RATE_LIMIT_PER_MINUTE: '0',
    ADMIN_USERNAME: administrator.username,
    ADMIN_PASSWORD: administrator.password,
    TOKEN_TTL_SECONDS: '86400',
    PAYMENT_TIMEOUT: '24h',
  };
}

/** Connection string of a service's database. */
export function databaseOf(adminUrl: string, service: string): string {
  const url = new URL(adminUrl);
  url.pathname += `_${service}`;
  return url.href;
}

async function topologyOf(services: DeploymentOptions['services'], adminUrl: string): Promise<object> {
  const alone = Object.keys(services).length === 1;
  const placed: Record<string, object> = {};
  for (const [name, modules] of Object.entries(services)) placed[name] = { modules, database: new URL(databaseOf(adminUrl, name)).pathname.slice(1), port: await freePort(), ...(!alone && { internalPort: await freePort() }) };
  return { name: 'blast', ...(!alone && { gateway: { port: await freePort() } }), services: placed };
}

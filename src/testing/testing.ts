/** What tests use: a whole shop on a database of its own, driven through its public doors. */
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { Call } from '../calls/call.ts';
import type { Contract } from '../contract/contract.ts';
import type { Client } from '../contract/types.ts';
import { PreparedClient } from '../database/prepared-client.ts';
import { discoverModules } from '../host/discover.ts';
import { type Host, startHost } from '../host/host.ts';
import type { ModuleHost } from '../host/module-host.ts';
import type { Probe } from '../host/probe.ts';
import { createLog } from '../log/log.ts';
import type { AnyModule } from '../module.ts';
import type { Tracing } from '../trace/tracing.ts';
import { checkSettings } from '../settings/check-settings.ts';
import { type KernelSettings, kernelSettings } from '../settings/kernel-settings.ts';
import { cloneDatabase, emptyDatabase, TEST_ROLE_PREFIX, type TestDatabase } from './database.ts';
import { testAdmin, testEnvironment, wireAsked } from './environment.ts';
import type { TestScope } from './scope.ts';
import { until } from './until.ts';

export { discoverModules } from '../host/discover.ts';
export { shopProcesses } from './child-process.ts';
export type { ShopProcess } from './child-process.ts';
export { openMailbox } from './mailbox.ts';
export { recordSpans } from './spans.ts';
export type { RecordedSpan, SpanRecorder } from './spans.ts';
export { cloneDatabase, emptyDatabase, TEST_ROLE_PREFIX, testServer } from './database.ts';
export type { TestDatabase } from './database.ts';
export { testRedisUrl, withoutRedis } from './redis.ts';
export type { TestScope } from './scope.ts';
export { tampering } from './tampering.ts';
export type { Asked, Tampered, Tampering } from './tampering.ts';

export interface TestShopOptions {
  /** Environment variables, for the kernel and the modules. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Runs on this database instead of a clone of its own: a second process of the same deployment. */
  readonly database?: TestDatabase;
  /** Modules to host; all of them unless told otherwise. Modules of the test's own bring their migrations. */
  readonly modules?: readonly AnyModule[];
  /** Folder of migrations of `modules`. */
  readonly migrations?: string;
  /** Sends contract calls through JSON; default: as the environment variable CLEAVE_WIRE says. */
  readonly wire?: boolean;
  readonly probe?: Probe;
  readonly tracing?: Tracing;
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into bodies of any shape
  readonly body: any;
}

export interface RequestOptions {
  readonly token?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SignedIn {
  readonly id: string;
  readonly token: string;
  readonly username: string;
  readonly password: string;
}

const PASSWORD = 'a long enough password';

/** Starts the shop in another shape than one process: the file that CLEAVE_PLACEMENT names exports one as `place`. */
export type Place = (t: TestScope, options: TestShopOptions) => Promise<TestShop>;

/** Starts a shop and tears it down with the test. */
export async function testShop(t: TestScope, options: TestShopOptions = {}): Promise<TestShop> {
  const elsewhere = process.env['CLEAVE_PLACEMENT'];
  // What a test says of its database or its modules is about one process.
  if (elsewhere && !options.database && !options.modules) return ((await import(pathToFileURL(resolve(elsewhere)).href)) as { place: Place }).place(t, options);
  const database = options.database ?? (await (options.migrations ? emptyDatabase() : cloneDatabase()));
  const host = await startTestHost(database, options);
  const shop = new TestShop(host, database);
  t.teardown(async () => {
    await shop.stop();
    if (!options.database) await database.drop();
  });
  return shop;
}

async function startTestHost(database: TestDatabase, options: TestShopOptions): Promise<Host> {
  const modules = options.modules ?? (await discoverModules());
  const env = { ...testEnvironment, ...options.settings };
  const checked = checkSettings({ kernel: kernelSettings, ...Object.fromEntries(modules.map((module) => [module.contract.name, module.settings])) }, env);
  if (checked.problems.length > 0) throw new Error(checked.problems.join('\n'));
  const settings = { ...(checked.values['kernel'] as KernelSettings), DATABASE_ROLE_PREFIX: database.rolePrefix ?? TEST_ROLE_PREFIX };
  const log = createLog(settings.LOG_LEVEL);
  return startHost({ modules, adminUrl: database.adminUrl, settings, moduleSettings: checked.values, log, wire: options.wire ?? wireAsked(), alone: options.database === undefined, tracing: options.tracing, ...(options.probe && { probe: options.probe }), ...(options.migrations && { migrations: options.migrations }) });
}

export class TestShop {
  readonly host: Host;
  readonly database: TestDatabase;
  readonly #pools = new Map<string, pg.Pool>();
  #admin: Promise<SignedIn> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(host: Host, database: TestDatabase) {
    this.host = host;
    this.database = database;
  }

  get url(): string {
    return this.host.url;
  }

  /** Superuser connection string of the shop's database. */
  get adminUrl(): string {
    return this.database.adminUrl;
  }

  /** Not so where CLEAVE_PLACEMENT places its modules elsewhere. */
  get isOneProcess(): boolean {
    return true;
  }

  /** Superuser connection string of the database with a module's schemas. */
  adminUrlOf(_schema: string): string {
    return this.adminUrl;
  }

  /** Connection string of a module's runtime role. */
  moduleUrl(module: string): string {
    return this.host.moduleUrl(module);
  }

  /** A module's inner parts, where it runs. */
  module(name: string): ModuleHost {
    return this.host.module(name);
  }

  async request(method: string, path: string, { token, body, headers }: RequestOptions = {}): Promise<Reply> {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...(text !== undefined && { 'content-type': 'application/json' }), ...(token && { authorization: `Bearer ${token}` }), ...headers },
      ...(text !== undefined && { body: text }),
    });
    const answer = await response.text();
    return { status: response.status, headers: response.headers, body: parsed(answer) };
  }

  /** A client of one of the shop's modules, as another module would have it. */
  client<C extends Contract>(contract: C): Client<C> {
    return this.host.client(contract, 'test');
  }

  call(timeoutMs = 10_000): Call {
    return Call.root('test', timeoutMs);
  }

  /** Runs SQL as superuser, with the module's schema on the search path. */
  async sql<R extends object = Record<string, unknown>>(module: string, text: string, params: readonly unknown[] = []): Promise<R[]> {
    const result = await this.#pool(module).query<R & pg.QueryResultRow>(text, params as unknown[]);
    return result.rows;
  }

  /** Polls until `check` answers something truthy, and answers that. */
  async until<T>(check: () => Promise<T | undefined | null | false | 0 | ''> | T | undefined | null | false | 0 | '', what: string, timeoutMs = 10_000): Promise<T> {
    return until(check, what, timeoutMs);
  }

  /** A customer who has just registered and signed in. */
  async customer(): Promise<SignedIn> {
    const username = `c_${randomBytes(5).toString('hex')}`;
    const created = await this.request('POST', '/api/v1/users', { body: { username, email: `${username}@example.com`, password: PASSWORD } });
    if (created.status !== 201) throw new Error(`a customer could not register: ${JSON.stringify(created.body)}`);
    return this.signIn(username, PASSWORD);
  }

  async support(): Promise<SignedIn> {
    const user = await this.customer();
    const admin = await this.admin();
    await this.request('PATCH', `/api/v1/users/${user.id}`, { token: admin.token, body: { role: 'support' } });
    return this.signIn(user.username, user.password);
  }

  admin(): Promise<SignedIn> {
    return (this.#admin ??= this.signIn(testAdmin.ADMIN_USERNAME, testAdmin.ADMIN_PASSWORD));
  }

  async signIn(username: string, password: string): Promise<SignedIn> {
    const reply = await this.request('POST', '/api/v1/users/authenticate', { body: { username, password } });
    if (reply.status !== 200) throw new Error(`${username} could not sign in: ${JSON.stringify(reply.body)}`);
    const me = await this.request('GET', '/api/v1/users/me', { token: reply.body.token });
    return { id: me.body.id, token: reply.body.token, username, password };
  }

  /** A product with stock, made as an administrator would. `price` in minor units of USD. */
  async product({ stock = 100, price = 1999, name = `Product ${randomBytes(4).toString('hex')}` } = {}): Promise<{ id: string; name: string; price: { amount: number; currency: string } }> {
    const { token } = await this.admin();
    const created = await this.request('POST', '/api/v1/products', { token, body: { name, description: 'For a test', price: { amount: price, currency: 'USD' } } });
    if (created.status !== 201) throw new Error(`a product could not be made: ${JSON.stringify(created.body)}`);
    const stocked = await this.request('PUT', `/api/v1/inventory/${created.body.id}`, { token, body: { onHand: stock } });
    if (stocked.status !== 200) throw new Error(`stock could not be set: ${JSON.stringify(stocked.body)}`);
    return created.body;
  }

  /** Stops this process of the shop; the database stays until the test ends. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#close());
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async (pool) => pool.end()));
    await this.host.stop();
  }

  #pool(module: string): pg.Pool {
    const known = this.#pools.get(module);
    if (known) return known;
    const pool = new pg.Pool({ connectionString: this.adminUrlOf(module), Client: PreparedClient, max: 4, options: `-c search_path=${module},public -c timezone=UTC`, application_name: 'cleave:test' } as pg.PoolConfig);
    pool.on('error', () => undefined);
    this.#pools.set(module, pool);
    return pool;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

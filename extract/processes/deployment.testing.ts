/** Several processes of the whole shop on one database, each of which can be killed. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { cloneDatabase, type ShopProcess, shopProcesses, type TestScope } from '#testing';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into bodies of any shape
  readonly body: any;
}

export interface Asked {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Customer {
  readonly id: string;
  readonly username: string;
  readonly token: string;
}

export const PASSWORD = 'a long enough password';
export const shippingAddress = { name: 'Grace Hopper', line1: '1 Harbour Street', city: 'Arlington', postalCode: '22201', country: 'US' };

/** Those of `testEnvironment`. */
const ADMIN = { username: 'admin', password: 'correct horse battery staple' };

/** One of the processes, asked over its public API. */
export class Shop {
  readonly #process: ShopProcess;
  readonly #url: string;

  constructor(process: ShopProcess) {
    if (process.url === undefined) throw new Error('the shop ended before it listened');
    this.#process = process;
    this.#url = process.url;
  }

  get pid(): number {
    return this.#process.process.pid!;
  }

  async ask(method: string, path: string, { token, body, headers }: Asked = {}): Promise<Answer> {
    const response = await fetch(`${this.#url}/api/v1${path}`, {
      method,
      headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** As `ask`, for what must succeed. @returns the body */
  async do(method: string, path: string, asked: Asked = {}): Promise<Answer['body']> {
    const { status, body } = await this.ask(method, path, asked);
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  async kill(): Promise<void> {
    await this.#process.kill('SIGKILL');
  }

  /** Stops it in the middle of whatever it does, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#process.process.kill(signal);
  }

  async signIn(username: string, password: string): Promise<string> {
    return (await this.do('POST', '/users/authenticate', { body: { username, password } })).token;
  }

  async admin(): Promise<string> {
    return this.signIn(ADMIN.username, ADMIN.password);
  }

  async customer(): Promise<Customer> {
    const username = `c_${randomBytes(5).toString('hex')}`;
    const { id } = await this.do('POST', '/users', { body: { username, email: `${username}@example.com`, password: PASSWORD } });
    return { id, username, token: await this.signIn(username, PASSWORD) };
  }

  async product(admin: string, { price = 1_250, stock = 10_000 } = {}): Promise<string> {
    const { id } = await this.do('POST', '/products', { token: admin, body: { name: 'Teapot', description: 'For a test', price: { amount: price, currency: 'USD' } } });
    await this.do('PUT', `/inventory/${id}`, { token: admin, body: { onHand: stock } });
    return id;
  }
}

export interface Deployment {
  readonly adminUrl: string;
  /** Starts one more process. */
  start(settings?: Readonly<Record<string, string>>, migrations?: string): Promise<Shop>;
  /** Runs SQL as superuser. */
  sql<R extends object>(text: string, params?: readonly unknown[]): Promise<R[]>;
}

/** A database and the processes on it; all of it goes with the test. */
export async function deploy(t: TestScope, common: Readonly<Record<string, string>> = {}): Promise<Deployment> {
  const database = await cloneDatabase();
  const pool = new pg.Pool({ connectionString: database.adminUrl, max: 2, application_name: 'cleave:test' });
  pool.on('error', () => undefined);
  t.teardown(async () => {
    await pool.end();
    await database.drop();
  });
  const processes = shopProcesses(t);
  return {
    adminUrl: database.adminUrl,
    start: async (settings, migrations) => new Shop(await processes.start({ adminUrl: database.adminUrl, settings: { ...common, ...settings }, ...(migrations !== undefined && { migrations }) })),
    sql: async <R extends object>(text: string, params: readonly unknown[] = []) => (await pool.query<R & pg.QueryResultRow>(text, [...params])).rows,
  };
}

/** Looks again, less and less often, until `check` finds something, and answers that. */
export async function until<T>(check: () => Promise<T | undefined | false | null>, what: string, timeoutMs = 20_000): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (let pauseMs = 10; ; pauseMs = Math.min(100, pauseMs * 1.5)) {
    const found = await check();
    if (found !== undefined && found !== false && found !== null) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(pauseMs);
  }
}

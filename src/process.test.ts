/** `npm start` as a user has it: two starts, a kill in between, a clean end, and what a mistake is answered with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { startEmbedded } from './database/embedded/embedded.ts';
import { projectRoot } from './host/discover.ts';
import { freePort } from './testing/free-port.ts';

t.setTimeout(180_000);

const dataDir = await mkdtemp(join(tmpdir(), 'cleave-start-'));
t.teardown(async () => {
  const { stop } = await startEmbedded({ dataDir });
  await stop();
  await rm(dataDir, { recursive: true, force: true });
});

interface Started {
  readonly npm: ChildProcess;
  readonly url: string;
  output(): string;
}

function npmStart(env: Record<string, string>): { npm: ChildProcess; output(): string } {
  let output = '';
  const npm = spawn('npm', ['start', '--silent'], { cwd: projectRoot, detached: true, env: { ...process.env, DATABASE_URL: '', DATA_DIR: dataDir, LOG_LEVEL: 'error', ...env } });
  for (const stream of [npm.stdout, npm.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return { npm, output: () => output };
}

async function started(env: Record<string, string> = {}): Promise<Started> {
  const PORT = String(await freePort());
  const { npm, output } = npmStart({ PORT, ...env });
  const url = `http://127.0.0.1:${PORT}`;
  for (let i = 0; i < 1_200 && npm.exitCode === null; i += 1) {
    if (/is up after/.test(output()) && (await fetch(`${url}/ready`).catch(() => undefined))?.ok) return { npm, url, output };
    await sleep(50);
  }
  throw new Error(`the shop did not become ready: ${output()}`);
}

/** Ends the whole group, npm and shell included, as Ctrl-C or a crash of the machine's user would. */
async function end({ npm }: { npm: ChildProcess }, signal: NodeJS.Signals): Promise<number | null> {
  const ended = once(npm, 'exit') as Promise<[number | null]>;
  process.kill(-npm.pid!, signal);
  return (await ended)[0];
}

async function request(url: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url + path, body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

async function readKept(file: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(dataDir, file), 'utf8')) as Record<string, unknown>;
}

const account = { username: 'restart', email: 'restart@example.com', password: 'kept over a kill' };

t.test('the first start prints where to go, and the demo catalog is there', async (t) => {
  const shop = await started();
  t.match(shop.output(), /Administrator: admin, password \S+/);
  t.match(shop.output(), /API docs {2}http:\S+\/docs/);
  t.match(shop.output(), `DATA_DIR=${dataDir} npm run demo`);
  const list = await request(shop.url, '/api/v1/products?limit=100');
  t.equal((list.body['items'] as unknown[]).length, 100);
  t.equal((await request(shop.url, '/api/v1/users', account)).status, 201);
  t.equal(await end(shop, 'SIGKILL'), null);
});

t.test('after kill -9 it just starts; the database that was left running is adopted, what was acknowledged is there', async (t) => {
  const shop = await started();
  t.match(shop.output(), /The database was running already/);
  t.notMatch(shop.output(), /Administrator:/, 'the first password is told once');
  t.equal((await request(shop.url, '/api/v1/users/authenticate', { username: account.username, password: account.password })).status, 200);
  t.equal(await end(shop, 'SIGINT'), 0, `Ctrl-C ends it cleanly: ${shop.output()}`);
});

t.test('a start after a clean end finds no database running', async (t) => {
  const shop = await started();
  t.notMatch(shop.output(), /The database was running already/);
  t.match(await readKept('running.json'), { url: shop.url, admin: 'admin.json' }, 'the demo finds it, and the password');
  t.match(await readKept('admin.json'), { username: 'admin' });
  shop.npm.kill('SIGTERM');
  t.equal(((await once(shop.npm, 'exit')) as [number])[0], 0, `SIGTERM to npm ends it cleanly: ${shop.output()}`);
});

t.test('a password that is set takes back the one that was kept, and a shop that has ended is not announced', async (t) => {
  const shop = await started({ ADMIN_PASSWORD: 'another one altogether' });
  await t.rejects(readKept('admin.json'), { code: 'ENOENT' });
  t.equal(await end(shop, 'SIGTERM'), 0);
  await t.rejects(readKept('running.json'), { code: 'ENOENT' });
});

t.test('every bad setting gets one sentence, all at once', async (t) => {
  const { npm, output } = npmStart({ PORT: 'eighty', LOG_LEVEL: 'loud', DATABASE_ROLE_PREFIX: 'pg_', JWT_PRIVATE_KEY: 'no key', ADMIN_PASSWORD: 'secret', SHIPPING_COUNTRIES: 'DE,XX', PAYMENT_TIMEOUT: 'soon' });
  const [code] = (await once(npm, 'exit')) as [number];
  t.equal(code, 2);
  const sentences = output().trim().split('\n');
  const bad = ['PORT', 'LOG_LEVEL', 'DATABASE_ROLE_PREFIX', 'JWT_PRIVATE_KEY', 'ADMIN_PASSWORD', 'SHIPPING_COUNTRIES', 'PAYMENT_TIMEOUT'];
  for (const name of bad) t.equal(sentences.filter((sentence) => sentence.startsWith(name)).length, 1, `one sentence for ${name}`);
  t.equal(sentences.length, bad.length, 'and nothing else');
  t.notMatch(output(), /no key|secret|\n {4}at /, 'no secret, no stack');
});

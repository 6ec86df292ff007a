import { spawn } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { testShop } from '#testing';

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly errors: string;
}

/** The demo as `npm run demo` starts it, knowing nothing but these variables. */
async function runDemo(env: Readonly<Record<string, string>>): Promise<Run> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'demo.ts')], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code], out, errors] = await Promise.all([once(child, 'close') as Promise<[number | null]>, text(child.stdout), text(child.stderr)]);
  return { code, out, errors };
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const STORY = [
  'The shop is ready',
  'The administrator signs in',
  ...Array.from({ length: 3 }, () => 'The administrator puts a product on the shelf'),
  'She signs up, signs in and leaves her phone number',
  'She searches for “storm lantren …”, with a slip of the finger',
  // She buys two lanterns
  'She orders and pays by card',
  'Her browser sends the order twice: it is one order',
  'The order is confirmed',
  'The shelf holds 23',
  'The administrator dispatches the parcel, and the order is shipped',
  'The parcel is delivered',
  // Her other card is declined
  'She orders and pays by card',
  'The order is cancelled, because the card was declined',
  'Nothing was charged',
  'The shelf holds 23',
  // She wants two of what there is one of
  'She orders and pays by card',
  'The order is rejected, because it is sold out',
  'Nothing was charged',
  'The shelf holds 1',
  // She changes her mind
  'She orders three lanterns with oil and pays by card',
  'The order is confirmed',
  'Who looks at the lantern is shown the oil',
  'She cancels it',
  'She has her money back',
  'The shelf holds 23',
  'Who looks at the lantern is shown no oil any more',
  // She needs oil for the lantern
  'She orders a lantern with oil and pays by card',
  'The order is confirmed',
  'Who looks at the lantern is shown the oil',
  'The page of the lantern shows all of it at once',
  'The administrator has everything counted anew, and it comes to the same',
  // She has a question
  'She opens a ticket about the order that was delivered',
  'The administrator gives a colleague the role of support',
  'The colleague answers',
  'She finds it among her tickets and reads it',
  'She closes the ticket',
  // The shop closes
  'The administrator takes the demo products out of the catalog',
];

/** Titles of the steps that happened. */
function stepsIn(out: string): string[] {
  return [...out.matchAll(/^✓ (.*?) {2}/gm)].map(([, title]) => title!.replace(/[0-9a-f]{8}/, '…'));
}

const shop = await testShop(t);
const { username, password } = await shop.admin();
// Less than a test may take: a step that does not happen is to be named.
const here = { BASE_URL: shop.url, ADMIN_USERNAME: username, ADMIN_PASSWORD: password, DEMO_PATIENCE_MS: '15000' };

void t.test('in a sound shop every step happens, and each order has its timeline', async (t) => {
  const { code, out, errors } = await runDemo(here);
  t.equal(errors, '');
  t.equal(code, 0);
  t.same(stepsIn(out), STORY);
  t.match(out, /✓ The page of the lantern shows all of it at once {2}22 in stock; goes with Lamp oil [0-9a-f]{8} {2}\d+ ms\n/);
  t.match(out, /✓ The administrator has everything counted anew, and it comes to the same {2}5 orders read {2}\d+ ms\n/);
  t.match(out, /Order [0-9a-f-]{36}: bought and delivered, \$39\.98\n( {2}\d\d:\d\d:\d\d\.\d{3} .*\n)+/);
  for (const ending of ['declined, $19.99', 'sold out, $498.00', 'cancelled and refunded, $73.47', 'bought together, $24.49']) t.match(out, `: ${ending}\n`);
  t.equal(out.match(/ message_sent +e-mail: /g)?.length, 14, 'what she was told is in the timelines');
  t.equal(out.match(/ message_sent +text message: /g)?.length, 14);
  for (const what of ['opened', 'answered', 'closed']) t.equal(out.match(new RegExp(` ticket_${what} +Ticket [0-9A-F]{8}: `, 'g'))?.length, 1, what);
  t.equal(out.match(/ email {2}sent /g)?.length, 14);
  t.equal(out.match(/ sms {4}sent /g)?.length, 14);
  t.match(out, /\? The handle came off\. {2}.*\n/, 'the question');
  t.match(out, /! We are sending you another one\. {2}.*\n/, 'and its answer');
  t.match(out, /Everything happened as it should\.\n$/);
  // eslint-disable-next-line no-control-regex
  t.notMatch(out, /\u001b/, 'colours are for terminals');
  t.notMatch(out, password);
});

void t.test('without a shop it says how to start one', async (t) => {
  const { code, errors } = await runDemo({ ...here, BASE_URL: `http://127.0.0.1:${await closedPort()}` });
  t.equal(code, 1);
  t.match(errors, 'ECONNREFUSED');
  t.match(errors, 'Start it with `npm start`');
});

void t.test('it says how to name the administrator, and looks into the data directory', async (t) => {
  const { ADMIN_PASSWORD: _none, ...incomplete } = here;
  const nobody = await runDemo({ ...incomplete, DATA_DIR: t.testdir({}) });
  t.equal(nobody.code, 1);
  t.match(nobody.errors, 'pass ADMIN_USERNAME and ADMIN_PASSWORD');

  const wrong = await runDemo({ BASE_URL: shop.url, DATA_DIR: t.testdir({ 'admin.json': JSON.stringify({ username, password: 'not the one' }) }) });
  t.equal(wrong.code, 1);
  t.match(wrong.errors, 'POST /users/authenticate answered 401 where 200 was expected: INVALID_CREDENTIALS');
  t.match(wrong.errors, /does not know admin by the password from \S+admin\.json: .* Pass ADMIN_USERNAME and ADMIN_PASSWORD, or set a new password/, 'the file and the remedy');
});

void t.test('a shop that runs here is found by what it says in the data folder', async (t) => {
  const kept = { 'running.json': JSON.stringify({ url: shop.url, pid: 1, admin: 'admin-0123abcd.json' }), 'admin-0123abcd.json': JSON.stringify({ username, password }), 'admin.json': '{"username":"admin","password":"of another database"}' };
  const found = await runDemo({ DATA_DIR: t.testdir(kept) });
  t.equal(found.errors, '');
  t.match(found.out, `A day at ${shop.url}`);
  const elsewhere = await runDemo({ DATA_DIR: t.testdir(kept), BASE_URL: `http://127.0.0.1:${await closedPort()}` });
  t.match(elsewhere.errors, 'ECONNREFUSED', 'BASE_URL counts before it');
});

void t.test('a step that does not happen ends it with what did happen', async (t) => {
  const { gate } = shop.module('shipping');
  t.teardown(() => gate.open());
  await gate.close();
  const { code, out, errors } = await runDemo({ ...here, DEMO_PATIENCE_MS: '1000' });
  t.equal(code, 1);
  t.match(out, /✗ The order is confirmed\n$/);
  t.match(errors, /The demo stopped: waited 1 s for order [0-9a-f-]{36} to be confirmed; it is paid\./);
});

void t.test('a setting that is no good is named', async (t) => {
  t.match(await runDemo({ ...here, BASE_URL: 'shop' }), { code: 1, errors: /BASE_URL is "shop", but must be an http or https URL/ });
  t.match(await runDemo({ ...here, DEMO_PATIENCE_MS: 'long' }), { code: 1, errors: /DEMO_PATIENCE_MS is "long"/ });
});

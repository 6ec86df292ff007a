/** A body that tells of the inside is found out, and one that repeats what it was told is not. */
import { hostname } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../../src/host/discover.ts';
import { Conformity, PROBLEM } from './conformity.testing.ts';
import { leaks, Said } from './leaks.testing.ts';

const nothing = new Said();

const telling: readonly string[] = [
  new TypeError('oops').stack!,
  'see node_modules/pg/lib/client.js',
  `${join(projectRoot, 'src')} is not there`,
  'modules/orders/orders.ts failed',
  'select id, total\n  from customer_order where id = $1',
  'insert into product (id) values ($1)',
  'update stock set on_hand = 1',
  'relation "stock" does not exist',
  'duplicate key value violates unique constraint "account_email"',
  'connect ECONNREFUSED 127.0.0.1:5432',
  'could not open /var/lib/cleave/postgres/PG_VERSION',
  'connection to server on socket "/tmp/.s.PGSQL.5432" failed',
  'open /etc/passwd',
  'column "total" does not exist',
  'column "total" of relation customer_order does not exist',
  'column o.total does not exist',
  'function shorten(text) does not exist',
  'role "cleave_orders" does not exist',
  'permission denied for table account',
  'value "99999999999" is out of range for type integer',
  'value too long for type character varying(20)',
  'invalid byte sequence for encoding "UTF8": 0x00',
  'connect ECONNREFUSED',
  'read ECONNRESET',
  'getaddrinfo ENOTFOUND orders',
  'DriverException: no such thing',
  'UniqueConstraintViolationException',
  ...(hostname().length > 3 ? [`I am ${hostname()}`] : []),
];

t.test('what tells of the inside is found, however deep', async (t) => {
  for (const text of telling) {
    for (const body of [{ items: [{ name: text }] }, { [text]: 1 }]) {
      t.equal(leaks(body, nothing).length, 1, text);
    }
    t.ok(leaks(`# HELP\n${text.replaceAll('\n', ' ')}\n`, nothing).length > 0, `${text}, in plain text`);
  }
});

t.test('what a request said may come back, whole, within a sentence or shortened', async (t) => {
  for (const text of telling.filter((each) => !each.includes('\n'))) {
    const said = new Said();
    said.add(`/api/v1/products/search?q=x`, JSON.stringify({ items: [{ name: text }] }));
    for (const shown of [text, `You ordered 2 × ${text}, thank you`, text.slice(0, -1), text.slice(1)]) t.same(leaks({ shown }, said), [], shown);
    t.equal(leaks({ shown: text, more: 'select password from account' }, said).length, 1, 'what nobody said is found beside it');
  }
});

t.test('what begins like something that was said is no repetition of it', async (t) => {
  const said = new Said();
  said.add(JSON.stringify({ name: `'; drop table product; -- and all that belongs to it` }));
  t.same(leaks({ shown: `1 x '; drop table product; -- a…` }, said), []);
  t.equal(leaks({ shown: 'drop table account' }, said).length, 1);
});

t.test('replies of every status are looked at, and a problem may repeat what its own request said and no other', async (t) => {
  const sql = 'select password from account';
  const answers = { 200: { content: { 'application/json': { schema: {} } } }, 404: { content: { [PROBLEM]: { schema: {} } } } };
  const conformity = new Conformity({ paths: { '/x': { get: { responses: answers } } }, components: { responses: {} } });
  const leaked = (status: number, type: string) =>
    conformity.complaints(conformity.operation('GET /x')!, '/x', { status, headers: new Headers({ 'content-type': type }), body: { detail: sql } }).filter((complaint) => complaint.startsWith('it leaks'));
  t.equal(leaked(200, 'application/json').length, 1);
  conformity.said.add(JSON.stringify({ name: sql }));
  t.equal(leaked(200, 'application/json').length, 0);
  t.equal(leaked(404, PROBLEM).length, 0);
  conformity.said.add(JSON.stringify({ name: 'something else' }));
  t.equal(leaked(200, 'application/json').length, 0);
  t.equal(leaked(404, PROBLEM).length, 1);
});

t.test('what shops say is no leak', async (t) => {
  const harmless = { name: 'Selected beans from Ethiopia', nextCursor: 'WyIwMTk4YzJmNCJd', updatedAt: '2026-01-01T00:00:00Z', body: 'You can update your address. All is set.', id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10' };
  const near = ['The order that you name does not exist', 'Roles and columns of any type', 'With no Exception', 'https://shop.example/home/page', 'cups/etc/saucers', '../../etc/passwd', 'ENOUGH', 'out of range for deliveries'];
  t.same(leaks({ ...harmless, near }, nothing), []);
});

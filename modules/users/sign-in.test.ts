/** Guessing passwords is bounded, for all processes of a deployment together, and a storm of it is turned away. */
import { testShop } from '#testing';
import t from 'tap';
import usersModule from './module.ts';

const settings = {
  SIGN_IN_ACCOUNT_FAILURES: '3',
  SIGN_IN_ADDRESS_FAILURES: '12',
  PASSWORD_HASH_QUEUE: '4',
  TRUST_PROXY: 'true',
};
const modules = [usersModule];
const one = await testShop(t, { modules, settings });
/** Callers may ask for much here, but not for much that costs a password hash. */
const two = await testShop(t, { modules, settings: { ...settings, RATE_LIMIT_PER_MINUTE: '6000' }, database: one.database });
type Shop = typeof one;

let lastHost = 0;

/** An address that nobody has signed in from yet. */
const freshAddress = (): string => `203.0.113.${(lastHost += 1)}`;

function signIn(shop: Shop, username: string, password: string, address = freshAddress()) {
  return shop.request('POST', '/api/v1/users/authenticate', { body: { username, password }, headers: { 'x-forwarded-for': address } });
}

t.test('an account that is guessed at is closed for a while, in every process', async (t) => {
  const user = await one.customer();
  for (const shop of [one, two, one]) t.equal((await signIn(shop, user.username, 'not the password')).status, 401);

  const refused = await signIn(two, user.username.toUpperCase(), user.password);
  t.match(refused, { status: 429, body: { code: 'TOO_MANY_SIGN_INS' } }, 'also with the right password');
  const seconds = Number(refused.headers.get('retry-after'));
  t.ok(seconds > 890 && seconds <= 900, `${seconds} s`);
  t.equal(refused.headers.get('ratelimit-limit'), '3');
  t.equal(refused.headers.get('ratelimit-remaining'), '0');
  t.equal(Number(refused.headers.get('ratelimit-reset')), seconds);

  t.match(await one.request('PATCH', '/api/v1/users/me', { token: user.token, body: { password: 'another long one', currentPassword: user.password } }), {
    status: 429,
    body: { code: 'TOO_MANY_SIGN_INS' },
  });
  t.equal((await one.request('GET', '/api/v1/users/me', { token: user.token })).status, 200, 'who is signed in stays so');
  t.equal((await signIn(two, (await one.customer()).username, 'a long enough password')).status, 200, 'others are not concerned');

  await one.sql('users', `update sign_in_failure set resets_at = now()`);
  t.equal((await signIn(one, user.username, user.password)).status, 200, 'and when the time is over it is open again');
});

t.test('a name that nobody has is closed alike', async (t) => {
  for (const shop of [one, two, one]) t.equal((await signIn(shop, 'nobody', 'not the password')).status, 401);
  t.match(await signIn(two, 'nobody', 'not the password'), { status: 429, body: { code: 'TOO_MANY_SIGN_INS' } });
});

t.test('a success forgets the failures of the account', async (t) => {
  const user = await one.customer();
  for (const password of ['wrong one', 'wrong one', user.password, 'wrong one', 'wrong one', user.password]) {
    t.equal((await signIn(one, user.username, password)).status, password === user.password ? 200 : 401);
  }
});

t.test('wrong current passwords count like failed sign-ins', async (t) => {
  const user = await one.customer();
  const change = () => one.request('PATCH', '/api/v1/users/me', { token: user.token, body: { password: 'another long one', currentPassword: 'wrong one' } });
  for (let i = 0; i < 3; i += 1) t.equal((await change()).status, 403);
  t.equal((await change()).status, 429);
});

t.test('guesses that come at once are counted one after the other', async (t) => {
  const user = await one.customer();
  const replies = await Promise.all([1, 2, 3, 4, 5].map(() => signIn(one, user.username, 'not the password')));
  t.same(replies.map(({ status }) => status).sort(), [401, 401, 401, 429, 429]);
});

t.test('an address that tries one account after the other is turned away, and a success does not help it', async (t) => {
  const [user, address] = [await one.customer(), freshAddress()];
  for (let i = 0; i < 12; i += 1) {
    if (i === 11) t.equal((await signIn(one, user.username, user.password, address)).status, 200);
    t.equal((await signIn(i % 2 ? one : two, `somebody_${i}`, 'not the password', address)).status, 401);
  }
  const refused = await signIn(two, user.username, user.password, address);
  t.match(refused, { status: 429, body: { code: 'TOO_MANY_SIGN_INS' } });
  t.equal(refused.headers.get('ratelimit-limit'), '12');
  t.equal((await signIn(two, user.username, user.password, `::ffff:${address}`)).status, 429, 'however the address is written');
  t.equal((await signIn(two, user.username, user.password)).status, 200, 'from elsewhere it goes on');
});

t.test('an address that nobody vouches for helps nobody who guesses', async (t) => {
  const { TRUST_PROXY: _, ...untrusting } = settings;
  const shop = await testShop(t, { modules, settings: untrusting });
  const user = await shop.customer();
  for (let i = 0; i < 12; i += 1) t.equal((await signIn(shop, `nobody_${i}`, 'not the password')).status, 401);
  t.equal((await signIn(shop, user.username, user.password)).status, 429, 'all of them came from the address that is connected');
});

t.test('the addresses of one IPv6 host are one address', async (t) => {
  const user = await one.customer();
  for (let i = 0; i < 12; i += 1) await signIn(one, `someone_${i}`, 'not the password', `2001:db8:1:2::${i}`);
  t.equal((await signIn(one, user.username, user.password, '2001:db8:1:2:ffff::1')).status, 429);
  t.equal((await signIn(one, user.username, user.password, '2001:db8:1:3::1')).status, 200);
});

t.test('what costs a password hash may be asked for 120 times a minute from one address, whoever asks for which of it', async (t) => {
  const [{ token }, headers] = [await one.customer(), { 'x-forwarded-for': freshAddress() }];
  // Refused for what it says, so it is counted and costs nothing.
  const ask = (route: string) => two.request(route.split(' ')[0]!, `/api/v1${route.split(' ')[1]!}`, { token, headers, body: { nobodyKnows: 1 } });
  const costly = ['POST /users', 'POST /users/authenticate', 'PATCH /users/me'];
  const replies = await Promise.all(costly.flatMap((route) => Array.from({ length: 40 }, () => ask(route))));
  t.same(replies.filter(({ status }) => status !== 400).map(({ status }) => status), [], 'all 120 are looked at');
  for (const route of costly) {
    const refused = await ask(route);
    t.match(refused, { status: 429, body: { code: 'RATE_LIMITED' } }, route);
    t.equal(refused.headers.get('ratelimit-limit'), '120');
  }
  t.equal((await two.request('GET', '/api/v1/users/me', { token, headers })).status, 200, 'all else goes on');
});

t.test('nobody\'s name or address is kept, and what is over is swept away', async (t) => {
  await signIn(one, 'secretive', 'not the password', '198.51.100.7');
  const rows = await one.sql('users', 'select bucket from sign_in_failure');
  t.ok(rows.length > 0);
  t.notMatch(JSON.stringify(rows), /secretive|198\.51/);

  await one.sql('users', `update sign_in_failure set resets_at = now() where bucket in (select bucket from sign_in_failure limit 3)`);
  const going = await one.sql('users', 'select bucket from sign_in_failure where resets_at > now() order by bucket');
  t.ok(going.length > 0 && going.length <= rows.length - 3);
  const sweep = one.host.module('users').parts.tasks!.find(({ name }) => name === 'sweep-sign-in-failures')!;
  await sweep.run(one.call());
  t.same(await one.sql('users', 'select bucket from sign_in_failure order by bucket'), going);
});

t.test('a storm of sign-ins is turned away at once where it cannot be served, and the shop answers meanwhile', async (t) => {
  const user = await one.customer();
  const storm = Promise.all(Array.from({ length: 30 }, () => signIn(one, user.username, user.password, '192.0.2.1')));
  t.equal((await one.request('GET', '/api/v1/users/me', { token: user.token })).status, 200);
  const replies = await storm;
  const [served, refused] = [replies.filter(({ status }) => status === 200), replies.filter(({ status }) => status === 503)];
  t.ok(served.length >= 5, 'one in hand and those in the queue are served');
  t.ok(refused.length > 0);
  t.equal(served.length + refused.length, 30);
  for (const { body, headers } of refused) {
    t.equal(body.code, 'UNAVAILABLE');
    t.ok(Number(headers.get('retry-after')) >= 1);
  }
  t.equal((await signIn(one, user.username, user.password)).status, 200, 'afterwards all is well');
});

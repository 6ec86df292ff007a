/** Accounts through the public door: who registers, signs in, is seen and is changed, and what others are told. */
import { createPublicKey, verify } from 'node:crypto';
import { defineContract, defineModule, type EventEnvelope, on } from '#kernel';
import { testShop } from '#testing';
import { Type } from '@sinclair/typebox';
import pg from 'pg';
import t from 'tap';
import { users } from './contract.ts';
import usersModule from './module.ts';

const told: EventEnvelope[] = [];

/** A module that hears what users publishes. */
const witness = defineModule({
  contract: defineContract({ name: 'witness', version: 1, summary: 'Hears of accounts.', errors: {}, operations: {}, events: {} }),
  dependencies: {},
  consumes: { users },
  subscribes: { accounts: [users.events.userRegistered, users.events.userChanged] },
  settings: Type.Object({}),
  entities: [],
  setup: () => {
    const apply = async (event: EventEnvelope): Promise<void> => void told.push(event);
    const { userRegistered, userChanged } = users.events;
    return { operations: {}, subscribers: [{ name: 'accounts', handlers: [on(userRegistered, { apply }), on(userChanged, { apply })] }] };
  },
});

const shop = await testShop(t, { modules: [usersModule, witness] });
const PASSWORD = 'a long enough password';
const unknownId = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';

const register = (username: string, change: object = {}) =>
  shop.request('POST', '/api/v1/users', { body: { username, email: `${username}@example.com`, password: PASSWORD, ...change } });
const signIn = (username: string, password = PASSWORD) => shop.request('POST', '/api/v1/users/authenticate', { body: { username, password } });
const changesTold = (userId: string, count: number) =>
  shop.until(() => {
    const changes = told.filter(({ type, aggregateId }) => type === 'users.user-changed.v1' && aggregateId === userId);
    return changes.length >= count && changes.map(({ data }) => (data as { changed: string[] }).changed);
  }, `${count} changes of ${userId} to be told`);

t.test('somebody registers, signs in and sees the account', async (t) => {
  const created = await register('Ada', { email: 'Ada@Example.com' });
  t.equal(created.status, 201);
  t.same(Object.keys(created.body), ['id', 'username', 'email', 'role', 'createdAt']);
  t.match(created.body, { username: 'Ada', email: 'ada@example.com', role: 'customer', createdAt: /^\d{4}-.*Z$/ });

  const signedIn = await signIn('ADA');
  t.equal(signedIn.status, 200);
  t.match(signedIn.body, { tokenType: 'Bearer', expiresIn: 3_600 });
  t.equal(signedIn.headers.get('cache-control'), 'no-store');

  const me = await shop.request('GET', '/api/v1/users/me', { token: signedIn.body.token });
  t.same(me.body, { ...created.body, phone: null });
  t.same((await shop.request('GET', `/api/v1/users/${created.body.id.toUpperCase()}`, { token: signedIn.body.token })).body, me.body);

  const event = await shop.until(() => told.find(({ aggregateId }) => aggregateId === created.body.id), 'the registration to be told');
  t.match(event, { type: 'users.user-registered.v1', data: { userId: created.body.id, username: 'Ada', email: 'ada@example.com', role: 'customer' } });
});

t.test('anybody can check a token with the published keys', async (t) => {
  const { token } = await shop.customer();
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const decoded = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
  const { kid, alg, typ } = decoded(header);
  t.match({ alg, typ }, { alg: 'RS256', typ: 'at+jwt' });

  const published = await shop.request('GET', '/.well-known/jwks.json');
  t.equal(published.status, 200);
  const key = createPublicKey({ key: published.body.keys.find((each: { kid: string }) => each.kid === kid), format: 'jwk' });
  t.ok(verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')));
  t.notOk(verify('sha256', Buffer.from(`${header}.${payload}x`), key, Buffer.from(signature, 'base64url')));

  const claims = decoded(payload);
  t.match(claims, { iss: 'cleave', aud: 'cleave-api', role: 'customer', sub: /^[0-9a-f-]{36}$/, jti: /^[0-9a-f-]{36}$/ });
  t.equal(claims.exp - claims.iat, 3_600);
});

t.test('names and addresses are taken whatever their case', async (t) => {
  t.equal((await register('grace')).status, 201);
  t.match(await register('GRACE', { email: 'other@example.com' }), { status: 409, body: { code: 'USERNAME_TAKEN' } });
  t.match(await register('hopper', { email: 'GRACE@example.com' }), { status: 409, body: { code: 'EMAIL_TAKEN' } });
});

t.test('what does not fit is refused at the door', async (t) => {
  const refused: [object, string][] = [
    [{ username: 'ab' }, '/username'],
    [{ username: 'no spaces' }, '/username'],
    [{ email: 'nowhere' }, '/email'],
    [{ password: 'x'.repeat(7) }, '/password'],
    [{ password: 'x'.repeat(129) }, '/password'],
    [{ password: '1234567e\u0301'.slice(1) }, '/password'],
    [{ role: 'admin' }, '/role'],
  ];
  for (const [change, path] of refused) {
    t.match(await register('refused', change), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path }] } }, JSON.stringify(change));
  }
  t.equal((await register('refused', { password: '12345678\0' })).status, 400);
  t.equal((await register('emoji', { password: '🔑'.repeat(128) })).status, 201, 'characters are counted, not bytes');
  t.equal((await signIn('emoji', '🔑'.repeat(128))).status, 200);
});

t.test('of those who register the same name or address at once one succeeds', async (t) => {
  const sameName = await Promise.all([1, 2, 3, 4, 5].map((i) => register(i % 2 ? 'turing' : 'TURING', { email: `turing${i}@example.com` })));
  t.same(sameName.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
  t.same(new Set(sameName.filter(({ status }) => status === 409).map(({ body }) => body.code)), new Set(['USERNAME_TAKEN']));

  const sameAddress = await Promise.all([1, 2, 3, 4, 5].map((i) => register(`church${i}`, { email: 'church@example.com' })));
  t.same(sameAddress.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
  t.same(new Set(sameAddress.filter(({ status }) => status === 409).map(({ body }) => body.code)), new Set(['EMAIL_TAKEN']));
});

t.test('of those who change and register to the same address at once one succeeds', async (t) => {
  const [one, two] = [await shop.customer(), await shop.customer()];
  const gate = new pg.Client(shop.adminUrl);
  await gate.connect();
  await gate.query('begin');
  await gate.query('select from users.account where id in ($1, $2) for update', [one.id, two.id]);
  const waiting = async (count: number) =>
    shop.until(async () => {
      const [row] = await shop.sql<{ n: number }>('users', `select count(*)::int n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`);
      return row!.n === count;
    }, `${count} transactions to wait`);
  const change = ({ token, password }: typeof one) =>
    shop.request('PATCH', '/api/v1/users/me', { token, body: { email: 'wanted@example.com', currentPassword: password } });
  const changes = [change(one), change(two)];
  await waiting(2);
  const registration = register('wanting', { email: 'wanted@example.com' });
  await waiting(3);
  await gate.query('commit');
  await gate.end();
  const replies = await Promise.all([...changes, registration]);
  t.equal(replies.filter(({ status }) => status < 300).length, 1);
  t.same(replies.filter(({ status }) => status >= 300).map(({ body }) => body.code), ['EMAIL_TAKEN', 'EMAIL_TAKEN']);
});

t.test('a wrong password and an unknown name are refused alike', async (t) => {
  const user = await shop.customer();
  const refusals = [await signIn(user.username, 'not the password'), await signIn('nobody', 'not the password'), await signIn('no such name', 'not the password')];
  for (const { status, body } of refusals) {
    t.equal(status, 401);
    t.same({ ...body, traceId: '' }, { ...refusals[0]!.body, traceId: '' });
    t.equal(body.code, 'INVALID_CREDENTIALS');
  }
});

t.test('an account is seen by its owner, support and administrators', async (t) => {
  const [owner, other, support, admin] = [await shop.customer(), await shop.customer(), await shop.support(), await shop.admin()];
  const see = (token: string | undefined, id: string) => shop.request('GET', `/api/v1/users/${id}`, token === undefined ? {} : { token });
  for (const { token } of [owner, support, admin]) t.match(await see(token, owner.id), { status: 200, body: { id: owner.id } });
  const secret = await see(other.token, owner.id);
  const absent = await see(other.token, unknownId);
  t.match(secret, { status: 404, body: { code: 'USER_NOT_FOUND' } });
  t.equal(secret.body.detail.replace(owner.id, ''), absent.body.detail.replace(unknownId, ''), 'which tells nothing');
  t.match(await see(admin.token, unknownId), { status: 404, body: { code: 'USER_NOT_FOUND' } });
  t.match(await see(undefined, owner.id), { status: 401, body: { code: 'UNAUTHENTICATED' } });
  t.match(await see(owner.token, 'me too'), { status: 400 });
});

t.test('the owner changes phone freely, e-mail and password with the current password', async (t) => {
  const user = await shop.customer();
  const change = (body: object) => shop.request('PATCH', '/api/v1/users/me', { token: user.token, body });

  t.match(await change({ phone: '+4915112345678' }), { status: 200, body: { phone: '+4915112345678' } });
  t.match(await change({ phone: '0151 12345678' }), { status: 400, body: { code: 'VALIDATION_FAILED' } });
  t.match(await change({ username: 'another' }), { status: 400, body: { errors: [{ path: '/username' }] } });

  const email = `new_${user.username}@example.com`;
  t.match(await change({ email }), { status: 403, body: { code: 'WRONG_PASSWORD' } });
  t.match(await change({ email, currentPassword: 'not the password' }), { status: 403, body: { code: 'WRONG_PASSWORD' } });
  t.match(await change({ email, currentPassword: user.password }), { status: 200, body: { email } });
  t.match(await change({ email: email.toUpperCase(), phone: null }), { status: 200, body: { email, phone: null } }, 'the same address is no change');
  t.match(await change({ email: 'grace@example.com', currentPassword: user.password }), { status: 409, body: { code: 'EMAIL_TAKEN' } });

  t.match(await change({ password: 'another long password' }), { status: 403, body: { code: 'WRONG_PASSWORD' } });
  t.match(await change({ password: 'short', currentPassword: user.password }), { status: 400 });
  t.equal((await change({ password: 'another long password', currentPassword: user.password })).status, 200);
  t.equal((await signIn(user.username, user.password)).status, 401);
  t.equal((await signIn(user.username, 'another long password')).status, 200);

  t.same(await changesTold(user.id, 4), [['phone'], ['email'], ['phone'], ['password']]);
  t.notMatch(JSON.stringify(told), /another long password|argon2/);
});

t.test('administrators give roles, and nobody else does', async (t) => {
  const [user, support, admin] = [await shop.customer(), await shop.support(), await shop.admin()];
  const give = (token: string, id: string, role: string) => shop.request('PATCH', `/api/v1/users/${id}`, { token, body: { role } });
  for (const { token } of [user, support]) t.match(await give(token, user.id, 'admin'), { status: 403, body: { code: 'FORBIDDEN' } });
  t.match(await give(admin.token, user.id, 'king'), { status: 400 });
  t.match(await give(admin.token, unknownId, 'support'), { status: 404, body: { code: 'USER_NOT_FOUND' } });
  t.match(await give(admin.token, user.id, 'support'), { status: 200, body: { id: user.id, role: 'support' } });
  t.match(await give(admin.token, user.id, 'support'), { status: 200, body: { role: 'support' } });
  t.same(await changesTold(user.id, 1), [['role']], 'the second time nothing changed');
});

t.test('the last administrator cannot be demoted, not even by two at once', async (t) => {
  const [admin, second] = [await shop.admin(), await shop.customer()];
  const give = (token: string, id: string, role: string) => shop.request('PATCH', `/api/v1/users/${id}`, { token, body: { role } });
  t.match(await give(admin.token, admin.id, 'customer'), { status: 409, body: { code: 'LAST_ADMINISTRATOR' } });

  t.equal((await give(admin.token, second.id, 'admin')).status, 200);
  const promoted = await shop.signIn(second.username, second.password);
  const replies = await Promise.all([give(admin.token, second.id, 'customer'), give(promoted.token, admin.id, 'customer')]);
  t.same(replies.map(({ status }) => status).sort(), [200, 409]);
  const [{ count }] = (await shop.sql('users', `select count(*)::int from account where role = 'admin'`)) as [{ count: number }];
  t.equal(count, 1);
});

t.test('other modules ask for users and keys through the contract', async (t) => {
  const client = shop.client(users);
  const person = { username: 'lovelace', email: 'Lovelace@example.com', password: PASSWORD };
  const made = await client.register(person, shop.call());
  t.match(made, { username: 'lovelace', email: 'lovelace@example.com', phone: null, role: 'customer' });
  t.same(await client.register(person, shop.call()), made, 'once more changes nothing');
  t.same(await client.getUser({ userId: made.id }, shop.call()), made);
  await t.rejects(client.register({ ...person, email: 'else@example.com' }, shop.call()), { code: 'USERNAME_TAKEN' });
  await t.rejects(client.register({ ...person, username: 'x' }, shop.call()), { code: 'VALIDATION_FAILED' });
  await t.rejects(client.getUser({ userId: unknownId }, shop.call()), { code: 'USER_NOT_FOUND' });
  t.same(await client.getTokenKeys({}, shop.call()), (await shop.request('GET', '/.well-known/jwks.json')).body);
});

t.test('whose tokens were withdrawn is told in pages, also where many were at the same instant', async (t) => {
  const own = await testShop(t, { modules: [usersModule] });
  const client = own.client(users);
  await own.sql('users', `insert into account (id, username, username_key, email, role, password_hash, token_generation, tokens_withdrawn_at)
    select gen_random_uuid(), 'u' || n, 'u' || n, n || '@example.com', 'customer', '', 2, case when n > 2500 then now() - interval '2 days' else now() end from generate_series(1, 2501) n`);
  const told = new Set<string>();
  const sizes: number[] = [];
  let after: string | undefined;
  for (let more = true; more; ) {
    const page = await client.getWithdrawnTokens({ ...(after !== undefined && { after }) }, own.call());
    for (const { userId, generation } of page.withdrawn) told.add(`${userId} ${generation}`);
    sizes.push(page.withdrawn.length);
    ({ next: after, more } = page);
  }
  t.same(sizes, [1_000, 1_000, 500]);
  t.equal(told.size, 2_500, 'each once, but for one whose tokens have all expired');
  const again = await client.getWithdrawnTokens({ ...(after !== undefined && { after }) }, own.call());
  t.equal(again.withdrawn.length, 1_000, 'the last minute is told of again: somebody may have committed late');
  await own.sql('users', `update account set tokens_withdrawn_at = now() - interval '2 minutes'`);
  t.same((await client.getWithdrawnTokens({ after: after! }, own.call())).withdrawn, []);
});

/** What processes of a deployment agree on when they start: the administrator and the keys. */
import { generateKeyPairSync } from 'node:crypto';
import { cloneDatabase, testShop } from '#testing';
import t from 'tap';
import usersModule from './module.ts';

const modules = [usersModule];
const database = await cloneDatabase();
t.teardown(() => database.drop());

/** A process of the deployment; an empty value means that the variable is not set. */
const start = (settings: Record<string, string> = {}) => testShop(t, { modules, database, settings: { ADMIN_PASSWORD: '', ...settings } });
type Shop = Awaited<ReturnType<typeof start>>;

const newKey = (): string => generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const kids = async (shop: Shop): Promise<string[]> => (await shop.request('GET', '/.well-known/jwks.json')).body.keys.map(({ kid }: { kid: string }) => kid);
const kidOf = (token: string): string => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()).kid;
const accepts = async (shop: Shop, token: string): Promise<boolean> => (await shop.request('GET', '/api/v1/users/me', { token })).status === 200;

/** How long a withdrawn token may be accepted; stated in docs/architecture.md and the README beside. */
const STATED_MS = 3_000;

/** Asks until the token is refused, and answers how long after it was withdrawn it was shown for the last time with success, in ms. */
async function lastAccepted(shop: Shop, token: string, withdrawnAt: number): Promise<number> {
  let last = 0;
  await shop.until(async () => {
    const shownAfter = performance.now() - withdrawnAt;
    const isAccepted = await accepts(shop, token);
    if (isAccepted) last = shownAfter;
    return !isAccepted;
  }, 'the token to be refused');
  return last;
}

const administrators = (shop: Shop) => shop.sql<{ username: string }>('users', `select username from account where role = 'admin' order by username`);

t.test('two first processes make one administrator, tell its password once, and share a key', async (t) => {
  const shops = await Promise.all([start(), start()]);
  const notes = shops.flatMap(({ host }) => host.notes);
  t.equal(notes.length, 1);
  const password = /^Administrator: admin, password (\S+) /.exec(notes[0]!)![1]!;
  t.same(await administrators(shops[0]), [{ username: 'admin' }]);

  const [first, second] = [await shops[0].signIn('admin', password), await shops[1].signIn('admin', password)];
  t.ok(await accepts(shops[1], first.token));
  t.ok(await accepts(shops[0], second.token));
  t.same(await kids(shops[0]), await kids(shops[1]));

  await Promise.all(shops.map((shop) => shop.stop()));
  const later = await start();
  t.same(later.host.notes, [], 'never again');
  t.same(await administrators(later), [{ username: 'admin' }]);
  t.ok(await accepts(later, first.token), 'the key has stayed');
});

t.test('ADMIN_USERNAME and ADMIN_PASSWORD name an administrator and bring its account in line', async (t) => {
  const named = { ADMIN_USERNAME: 'boss', ADMIN_PASSWORD: 'the first password' };
  const [one, two] = await Promise.all([start(named), start(named)]);
  t.same(await administrators(one), [{ username: 'admin' }, { username: 'boss' }]);
  t.same([...one.host.notes, ...two.host.notes], [], 'a password that was given is not told');
  const boss = await one.signIn('boss', 'the first password');
  await two.signIn('boss', 'the first password');
  const hash = () => one.sql('users', `select password_hash from account where username = 'boss'`);
  const before = await hash();

  await start(named);
  t.same(await hash(), before, 'the same settings change nothing');

  const changed = await start({ ...named, ADMIN_PASSWORD: 'the second password' });
  t.equal((await changed.signIn('boss', 'the second password')).id, boss.id);
  t.match(await changed.request('POST', '/api/v1/users/authenticate', { body: { username: 'boss', password: 'the first password' } }), { status: 401 });

  const customer = await changed.customer();
  const promoting = await start({ ADMIN_USERNAME: customer.username.toUpperCase(), ADMIN_PASSWORD: customer.password });
  t.match(await promoting.request('GET', '/api/v1/users/me', { token: (await promoting.signIn(customer.username, customer.password)).token }), {
    body: { id: customer.id, role: 'admin' },
  });
});

t.test('who is demoted, or has a new password, signs in again: in every process, a remembered token or not', async (t) => {
  const named = { ADMIN_USERNAME: 'boss', ADMIN_PASSWORD: 'the second password' };
  const [one, two] = await Promise.all([start(named), start(named)]);
  const boss = await one.signIn('boss', named.ADMIN_PASSWORD);
  const clerk = await one.customer();
  const give = (role: string) => one.request('PATCH', `/api/v1/users/${clerk.id}`, { token: boss.token, body: { role } });
  let withdrawnAt = performance.now();
  const areGone = async (token: string, who: string) => {
    const [inOne, inTwo] = await Promise.all([one, two].map(async (shop) => lastAccepted(shop, token, withdrawnAt)));
    t.ok(Math.max(inOne!, inTwo!) < STATED_MS, `${who} is gone: accepted for ${inOne} and ${inTwo} ms`);
  };
  t.equal((await give('support')).status, 200);
  withdrawnAt = performance.now();
  const promoted = await two.signIn(clerk.username, clerk.password);
  for (const shop of [one, two]) t.ok(await accepts(shop, promoted.token));
  await areGone(clerk.token, 'the customer');

  t.equal((await give('customer')).status, 200);
  withdrawnAt = performance.now();
  await areGone(promoted.token, 'the demoted clerk');
  const demoted = await two.signIn(clerk.username, clerk.password);
  for (const shop of [one, two]) t.ok(await accepts(shop, demoted.token), 'a token of the same second is good');
  t.ok(await accepts(two, boss.token), 'nobody else is concerned');

  const body = { password: 'a password after a theft', currentPassword: clerk.password };
  t.equal((await two.request('PATCH', '/api/v1/users/me', { token: demoted.token, body })).status, 200);
  withdrawnAt = performance.now();
  await areGone(demoted.token, 'the thief');
  const later = await start(named);
  t.notOk(await accepts(later, promoted.token), 'a process that starts later knows it from its first token on');
  t.ok(await accepts(later, (await later.signIn(clerk.username, body.password)).token));
});

t.test('keys rotate without a token being refused', async (t) => {
  const [first, second] = [newKey(), newKey()];
  const named = { ADMIN_USERNAME: 'boss', ADMIN_PASSWORD: 'the second password' };
  const before = await start({ ...named, JWT_PRIVATE_KEY: first });
  const announced = await start({ ...named, JWT_PRIVATE_KEY: first, JWT_PREVIOUS_KEY: second });
  const rotated = await start({ ...named, JWT_PRIVATE_KEY: second, JWT_PREVIOUS_KEY: first.replaceAll('\n', '\\n') });
  const after = await start({ ...named, JWT_PRIVATE_KEY: second });

  const old = (await before.signIn('boss', named.ADMIN_PASSWORD)).token;
  const fresh = (await rotated.signIn('boss', named.ADMIN_PASSWORD)).token;
  t.not(kidOf(old), kidOf(fresh));
  t.same(await kids(before), [kidOf(old)]);
  t.same(await kids(announced), [kidOf(old), kidOf(fresh)], 'the one that signs comes first');
  t.same(await kids(rotated), [kidOf(fresh), kidOf(old)]);
  t.same(await kids(after), [kidOf(fresh)]);

  for (const shop of [announced, rotated]) for (const token of [old, fresh]) t.ok(await accepts(shop, token));
  t.notOk(await accepts(after, old), 'a key that was taken away is not accepted any more');
  t.notOk(await accepts(before, fresh), 'nor is one that was never announced');
});

t.test('settings that cannot be right are refused by the schema, all at once', async (t) => {
  const refused: [Record<string, string>, RegExp][] = [
    [{ NODE_ENV: 'production' }, /^JWT_PRIVATE_KEY is not set, and in production no key is made up: .*\.$/],
    [{ JWT_PRIVATE_KEY: 'none' }, /^JWT_PRIVATE_KEY cannot be read: .*\.$/],
    [{ JWT_PRIVATE_KEY: 'none', ADMIN_PASSWORD: 'secret', ADMIN_USERNAME: 'a b' }, /^JWT_PRIVATE_KEY cannot be read: .*\.\nADMIN_USERNAME is "a b": it must be 3 to 50 letters.*\.\nADMIN_PASSWORD must have 8 to 128 characters, not 6\.$/],
    [{ JWT_PREVIOUS_KEY: newKey() }, /^JWT_PREVIOUS_KEY is set without JWT_PRIVATE_KEY/],
  ];
  for (const [settings, message] of refused) await t.rejects(start(settings), { message }, Object.keys(settings).join());
});

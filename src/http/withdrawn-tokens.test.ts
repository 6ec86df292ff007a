/** A token that was withdrawn is refused within the time that is promised, and nobody pays for it who has none. */
import { setImmediate as settled } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { testServer, tokenOf, untilStatus } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';
import { type Withdrawals, WithdrawnTokens } from './withdrawn-tokens.ts';

const routes: RoutesPlugin = async (app) => {
  app.get('/mine', { config: { access: ['customer'] } }, async (request) => request.actor);
  app.get('/maybe', { config: { access: 'optional' } }, async (request) => ({ actor: request.actor }));
  app.get('/open', { config: { access: 'anyone' } }, async () => ({}));
};

const nothing: Withdrawals = { withdrawn: [], next: 'now', more: false };

function token(gen?: number): string {
  return tokenOf('customer', { claims: { sub: 'ada', ...(gen !== undefined && { gen }) } });
}

t.test('older tokens of a user are refused, newer ones and those of others are not', async (t) => {
  let answer = nothing;
  const server = await testServer(t, { routes, withdrawals: async () => answer });
  const ask = async (presented: string) => server.request('GET', '/api/v1/mine', { token: presented });
  const [unnumbered, first, second] = [token(), token(1), token(2)];
  const others = tokenOf('customer', { claims: { sub: 'bob' } });
  for (const each of [unnumbered, first, second, others]) t.equal((await ask(each)).status, 200);
  answer = { ...nothing, withdrawn: [{ userId: 'ada', generation: 2 }] };
  const refused = await untilStatus(401, async () => ask(first));
  t.match(refused.body, { code: 'UNAUTHENTICATED', detail: /withdrawn/ });
  t.equal((await ask(unnumbered)).status, 401, 'a token without a number is older than any');
  t.equal((await server.request('GET', '/api/v1/maybe', { token: first })).status, 401);
  t.equal((await ask(second)).status, 200);
  t.equal((await ask(others)).status, 200);
  answer = nothing;
  t.equal((await ask(first)).status, 401, 'what was told once is not forgotten');
});

t.test('who has no token, or needs none, makes nobody ask', async (t) => {
  let asked = 0;
  const withdrawals = async () => ({ ...nothing, asked: (asked += 1) });
  const server = await testServer(t, { routes, withdrawals });
  for (const path of ['/api/v1/open', '/api/v1/maybe', '/api/v1/mine']) await server.request('GET', path);
  await server.request('GET', '/api/v1/open', { token: token() });
  t.equal(asked, 0);
  await Promise.all(Array.from({ length: 20 }, async () => server.request('GET', '/api/v1/mine', { token: token() })));
  t.equal(asked, 1);
});

t.test('as long as nothing was ever known, tokens cannot be checked: 503, not 401', async (t) => {
  let isDown = true;
  const withdrawals = async () => {
    if (isDown) throw new Error('users is down');
    return nothing;
  };
  const server = await testServer(t, { routes, withdrawals });
  const reply = await server.request('GET', '/api/v1/mine', { token: token() });
  t.match(reply, { status: 503, body: { code: 'UNAVAILABLE' } });
  t.ok(reply.headers.get('retry-after'));
  t.notMatch(JSON.stringify(reply.body), 'users is down');
  isDown = false;
  t.equal((await server.request('GET', '/api/v1/mine', { token: token() })).status, 200);
});

/** What the door asks, on a clock of the test's own. */
function staged(t: Test) {
  let now = 1_000;
  const asked: (string | undefined)[] = [];
  const warnings: string[] = [];
  let answer: () => Promise<Withdrawals> = async () => nothing;
  t.intercept(performance, 'now', { value: () => now });
  const ask = async (after: string | undefined) => {
    asked.push(after);
    return answer();
  };
  const tokens = new WithdrawnTokens(ask, { warn: (_facts: object, line: string) => void warnings.push(line) } as never);
  return { tokens, asked, warnings, pass: (ms: number) => void (now += ms), answers: (next: typeof answer) => void (answer = next) };
}

t.test('within a second nobody asks, then somebody does, and after three seconds everybody waits for it', async (t) => {
  const { tokens, asked, pass, answers } = staged(t);
  await tokens.refresh();
  pass(999);
  t.equal(tokens.refresh(), undefined);
  t.same(asked, [undefined]);
  const slow = Promise.withResolvers<Withdrawals>();
  answers(async () => slow.promise);
  pass(1);
  t.equal(tokens.refresh(), undefined, 'it is asked for in the background');
  t.same(asked, [undefined, 'now'], 'for what is new since the last time');
  pass(1_999);
  t.equal(tokens.refresh(), undefined);
  pass(1);
  const wait = tokens.refresh();
  t.ok(wait, 'what is known is three seconds old');
  slow.resolve({ ...nothing, withdrawn: [{ userId: 'ada', generation: 1 }] });
  await wait;
  t.same([tokens.includes('ada', 0), tokens.includes('ada', 1), tokens.includes('bob', 0)], [true, false, false]);
  t.equal(asked.length, 2, 'all wait for the same answer');
});

t.test('all pages are read', async (t) => {
  const { tokens, asked, answers } = staged(t);
  const pages = ['ada', 'bob', 'eve'].map((userId, i): Withdrawals => ({ withdrawn: [{ userId, generation: 1 }], next: `${i}`, more: userId !== 'eve' }));
  answers(async () => pages.shift()!);
  await tokens.refresh();
  t.same(asked, [undefined, '0', '1']);
  t.same(['ada', 'bob', 'eve', 'joe'].map((userId) => tokens.includes(userId, 0)), [true, true, true, false]);
});

t.test('while nobody answers, what is known counts, nobody waits, and one line says so', async (t) => {
  const { tokens, warnings, pass, answers } = staged(t);
  answers(async () => ({ ...nothing, withdrawn: [{ userId: 'ada', generation: 1 }] }));
  await tokens.refresh();
  answers(async () => Promise.reject(new Error('down')));
  pass(60_000);
  await tokens.refresh();
  for (let i = 0; i < 3; i++) {
    pass(2_000);
    t.equal(tokens.refresh(), undefined);
    await settled();
  }
  t.ok(tokens.includes('ada', 0));
  t.equal(warnings.length, 1);
  answers(async () => ({ ...nothing, withdrawn: [{ userId: 'bob', generation: 1 }] }));
  pass(2_000);
  void tokens.refresh();
  await settled();
  t.ok(tokens.includes('bob', 0));
});

t.test('after an hour all is asked for anew, and what is not told any more is forgotten', async (t) => {
  const { tokens, asked, pass, answers } = staged(t);
  answers(async () => ({ ...nothing, withdrawn: [{ userId: 'ada', generation: 1 }] }));
  await tokens.refresh();
  answers(async () => nothing);
  pass(3_600_000);
  await tokens.refresh();
  t.same(asked, [undefined, undefined]);
  t.notOk(tokens.includes('ada', 0));
});

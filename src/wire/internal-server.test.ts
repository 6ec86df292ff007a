/** The internal listener's door: who may ask, in which words, and what happens while it closes. */
import { createSigner } from 'fast-jwt';
import { pino } from 'pino';
import t from 'tap';
import { request } from 'undici';
import { Call } from '../calls/call.ts';
import type { EventEnvelope } from '../contract/types.ts';
import { till, tillCallee } from './fixtures.testing.ts';
import { createInternalServer } from './internal-server.ts';
import { overTheWire, servedOf, serve, TEST_SECRET } from './placement.testing.ts';
import { ServiceTokens } from './service-tokens.ts';

const logged: string[] = [];
const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(line) });
const handled: EventEnvelope[] = [];
const callee = tillCallee();
const server = await createInternalServer({
  modules: [servedOf(callee, { publishers: new Set(['bank']), subscribers: ['till.coins'], handle: async (_subscriber, events) => (handled.push(...events), events.map(() => ({ outcome: 'handled' as const }))) })],
  tokens: new ServiceTokens(TEST_SECRET),
  log,
});
const origin = await server.listen({ host: '127.0.0.1', port: 0 });
t.teardown(() => server.close());

const claims = { sub: 'test', aud: 'till', iss: 'cleave-services' };
const sign = (body: object, options: object = {}) => `Bearer ${createSigner({ key: TEST_SECRET, algorithm: 'HS256', expiresIn: 60_000, header: { typ: 'cleave-service+jwt' } as never, ...options })(body)}`;
const words = { 'content-type': 'application/json', 'x-cleave-contract': 'till@1', 'x-cleave-remaining-ms': '1000' };

async function ask(path: string, headers: Record<string, string>, body: unknown = {}): Promise<{ status: number; body: { code?: string; detail?: string } & Record<string, unknown> }> {
  const answer = await request(`${origin}${path}`, { method: 'POST', headers: { ...words, ...headers }, body: JSON.stringify(body) });
  return { status: answer.statusCode, body: (await answer.body.json()) as never };
}

t.test('who has a token for the callee, and depends on it, is answered', async (t) => {
  t.match(await ask('/calls/till/count', { authorization: sign(claims) }), { status: 200, body: { n: 0 } });
});

const bad: Readonly<Record<string, string | undefined>> = {
  none: undefined,
  'one that is none': 'Bearer x',
  'one for another module': sign({ ...claims, aud: 'safe' }),
  'one of another secret': sign(claims, { key: `${TEST_SECRET}!` }),
  'one that has expired': sign({ ...claims, iat: Math.floor(Date.now() / 1_000) - 120, exp: Math.floor(Date.now() / 1_000) - 60 }, { expiresIn: undefined }),
  'one of another type': sign(claims, { header: { typ: 'at+jwt' } }),
  'one of another issuer': sign({ ...claims, iss: 'cleave' }),
  'one without a signature': `Bearer ${Buffer.from('{"alg":"none","typ":"cleave-service+jwt"}').toString('base64url')}.${Buffer.from(JSON.stringify({ ...claims, iat: 1, exp: 9_999_999_999 })).toString('base64url')}.`,
  'one that lives too long': sign({ ...claims, iat: Math.floor(Date.now() / 1_000) - 3_600 }, { expiresIn: 7_200_000 }),
};

for (const [what, authorization] of Object.entries(bad)) {
  t.test(`a token is needed, and ${what} is refused and logged`, async (t) => {
    const [calls, lines] = [callee.state.calls, logged.length];
    t.match(await ask('/calls/till/count', authorization === undefined ? {} : { authorization }), { status: 401, body: { code: 'UNAUTHENTICATED' } });
    t.equal(callee.state.calls, calls);
    t.equal(logged.length, lines + 1);
    t.notMatch(logged.at(-1)!, authorization?.slice(7) ?? TEST_SECRET, 'the token is not in the log');
  });
}

t.test('who does not depend on the callee may not call it, nor publish to its subscribers', async (t) => {
  t.match(await ask('/calls/till/count', { authorization: sign({ ...claims, sub: 'stranger' }) }), { status: 403, body: { code: 'FORBIDDEN' } });
  t.match(await ask('/events/till.coins', { authorization: sign(claims) }, { events: [{}] }), { status: 403 });
  t.equal(handled.length, 0);
  t.match(await ask('/events/till.coins', { authorization: sign({ ...claims, sub: 'bank' }) }, { events: [{ id: '1' }] }), { status: 200, body: { results: [{ outcome: 'handled' }] } });
});

t.test('another version of the contract is refused in words that name both', async (t) => {
  const { status, body } = await ask('/calls/till/count', { authorization: sign(claims), 'x-cleave-contract': 'till@2' });
  t.match({ status, code: body.code }, { status: 503, code: 'VERSION_MISMATCH' });
  t.match(body.detail, /speaks till@1, but was asked as till@2/);
});

t.test('requests that make no sense are refused', async (t) => {
  const authorization = sign(claims);
  t.match(await ask('/calls/till/burn', { authorization }), { status: 404, body: { code: 'ROUTE_NOT_FOUND' } });
  t.match(await ask('/calls/till/set', { authorization }, { n: 'x' }), { status: 400, body: { code: 'VALIDATION_FAILED', errors: [{ path: '/n' }] } });
  t.match(await ask('/calls/till/set', { authorization, 'x-cleave-remaining-ms': 'soon' }, { n: 1 }), { status: 400, body: { code: 'VALIDATION_FAILED' } });
  t.match(await ask('/events/till.coins', { authorization: sign({ ...claims, sub: 'bank' }) }, {}), { status: 400, body: { code: 'VALIDATION_FAILED' } });
  const broken = await request(`${origin}/calls/till/set`, { method: 'POST', headers: { ...words, authorization }, body: '{' });
  t.match([broken.statusCode, await broken.body.json()], [400, { code: 'MALFORMED_BODY' }]);
});

t.test('a listener that closes under load leaves nobody in doubt', async (t) => {
  for (let round = 0; round < 5; round += 1) {
    const callee = tillCallee();
    const closing = await createInternalServer({ modules: [servedOf(callee)], tokens: new ServiceTokens(TEST_SECRET), log, drain: { noticeMs: 100, timeoutMs: 10_000 } });
    const origin = await closing.listen({ host: '127.0.0.1', port: 0 });
    let done = 0;
    const endings = Array.from({ length: 8 }, async () => {
      const client = overTheWire(t, till, origin);
      for (;;) {
        const code = await client.put({}, Call.root('test', 5_000)).then(() => undefined, (error: { code: string }) => error.code);
        if (code) return code;
        done += 1;
      }
    });
    while (callee.state.n < 100) await new Promise((resolve) => setImmediate(resolve));
    await closing.close();
    t.same([...new Set(await Promise.all(endings))], ['UNAVAILABLE']);
    t.equal(callee.state.n, done, 'and what was done was answered');
  }
});

t.test('a listener that closes brings what it has to its end, and sends the others elsewhere', async (t) => {
  const released = Promise.withResolvers<void>();
  const slow = tillCallee(async (operation) => (operation === 'put' ? released.promise : undefined));
  const closing = await createInternalServer({ modules: [servedOf(slow)], tokens: new ServiceTokens(TEST_SECRET), log });
  const first = await closing.listen({ host: '127.0.0.1', port: 0 });
  const other = tillCallee();
  const second = await serve(t, other);
  const pending = overTheWire(t, till, first).put({}, Call.root('test', 5_000));
  while (slow.state.calls === 0) await new Promise((resolve) => setImmediate(resolve));
  const warm = overTheWire(t, till, [first, second]);
  const closed = closing.close();
  const isOpen = async () => overTheWire(t, till, first).count({}, Call.root('test', 5_000)).then(() => true, ({ code }: { code: string }) => code !== 'UNAVAILABLE');
  while (await isOpen());
  for (let n = 0; n < 20; n += 1) await warm.put({}, Call.root('test', 5_000));
  t.equal(other.state.n, 20, 'also commands that must not be done twice: they had not been taken');
  t.equal(slow.state.n, 1);
  released.resolve();
  t.same(await pending, { n: 1 });
  await closed;
});

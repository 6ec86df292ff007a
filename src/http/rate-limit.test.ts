/** Callers that ask for too much wait; others do not notice. */
import t from 'tap';
import { testServer, tokenOf } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const routes: RoutesPlugin = async (app) => {
  app.get('/open', { config: { access: 'anyone' } }, async () => ({}));
  app.get('/mine', { config: { access: ['customer'] } }, async () => ({}));
  app.post('/sign-in', { config: { access: 'anyone', limit: 'credentials' } }, async () => ({}));
};

const LIMIT = 5;

t.test('with a limit', async (t) => {
  const server = await testServer(t, { routes, settings: { RATE_LIMIT_PER_MINUTE: LIMIT, TRUST_PROXY: '1' } });
  const from = (address: string) => ({ headers: { 'x-forwarded-for': address } });
  const statuses = async (times: number, ask: () => Promise<{ status: number }>) => {
    const seen: number[] = [];
    for (let i = 0; i < times; i++) seen.push((await ask()).status);
    return seen;
  };
  const some = (status: number, times: number) => Array.from({ length: times }, () => status);

  await t.test('an address gets 429 beyond it, with the time to wait', async (t) => {
    t.same(await statuses(LIMIT, async () => server.request('GET', '/api/v1/open', from('192.0.2.1'))), some(200, LIMIT));
    const { status, body, headers } = await server.request('GET', '/api/v1/open', from('192.0.2.1'));
    t.equal(status, 429);
    t.match(body, { code: 'RATE_LIMITED', status: 429 });
    const wait = Number(headers.get('retry-after'));
    t.ok(wait >= 1 && wait <= 60);
    t.same(['limit', 'remaining', 'reset'].map((name) => headers.get(`ratelimit-${name}`)), [String(LIMIT), '0', String(wait)]);
    t.equal((await server.request('GET', '/api/v1/open', from('192.0.2.2'))).status, 200, 'another address is not held up');
  });

  await t.test('an IPv6 caller is its /64', async (t) => {
    let host = 0;
    t.same(
      await statuses(LIMIT + 1, async () => server.request('GET', '/api/v1/open', from(`2001:db8::${(host += 1)}`))),
      [...some(200, LIMIT), 429],
    );
    t.equal((await server.request('GET', '/api/v1/open', from('2001:db8:0:1::1'))).status, 200);
  });

  await t.test('a user is counted wherever it comes from, and apart from its address', async (t) => {
    const token = tokenOf('customer');
    let host = 0;
    const ask = async () => server.request('GET', '/api/v1/mine', { token, ...from(`198.51.100.${(host += 1)}`) });
    t.same(await statuses(LIMIT + 1, ask), [...some(200, LIMIT), 429]);
    t.equal((await server.request('GET', '/api/v1/mine', { token: tokenOf('customer'), ...from('198.51.100.1') })).status, 200);
  });

  await t.test('guessing tokens counts against the address', async (t) => {
    let guess = 0;
    const ask = async () => server.request('GET', '/api/v1/mine', { token: `guess.${(guess += 1)}.x`, ...from('203.0.113.9') });
    t.same(await statuses(LIMIT + 1, ask), [...some(401, LIMIT), 429]);
  });

  await t.test('a bucket counts for itself', async (t) => {
    const ask = async () => server.request('POST', '/api/v1/sign-in', from('203.0.113.10'));
    t.same(await statuses(LIMIT + 1, ask), [...some(200, LIMIT), 429]);
    t.equal((await server.request('GET', '/api/v1/open', from('203.0.113.10'))).status, 200);
  });

  await t.test('operators are never limited', async (t) => {
    t.same(await statuses(LIMIT + 3, async () => server.request('GET', '/health', from('203.0.113.11'))), some(200, LIMIT + 3));
  });
});

t.test('without a limit nobody waits', async (t) => {
  const server = await testServer(t, { routes });
  const statuses = await Promise.all(Array.from({ length: 300 }, async () => (await server.request('POST', '/api/v1/sign-in')).status));
  t.same([...new Set(statuses)], [200]);
});

t.test('forwarded addresses are believed only of proxies that are trusted', async (t) => {
  /** Of two requests that came by the same way, but say that they began elsewhere. */
  const statuses = async (settings: object, ...way: string[]): Promise<number[]> => {
    const server = await testServer(t, { routes, settings: { RATE_LIMIT_PER_MINUTE: 1, ...settings } });
    const ask = async (address: string) => server.request('GET', '/api/v1/open', { headers: { 'x-forwarded-for': [address, ...way].join(', ') } });
    return [(await ask('192.0.2.1')).status, (await ask('192.0.2.2')).status];
  };
  const [oneCaller, two] = [[200, 429], [200, 200]];
  t.same(await statuses({}), oneCaller, 'of none unless told');
  t.same(await statuses({ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' }), two, 'of the one that sent the request');
  t.same(await statuses({ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' }, '10.1.2.3'), two, 'of all on the way');
  t.same(await statuses({ TRUST_PROXY: '127.0.0.1, 10.0.0.0/8' }, '198.51.100.7'), oneCaller, 'no further than to the first stranger');
  t.same(await statuses({ TRUST_PROXY: '10.0.0.0/8' }), oneCaller, 'of nobody where a stranger sent the request');
  t.same(await statuses({ TRUST_PROXY: '1' }), two, 'of the last one');
  t.same(await statuses({ TRUST_PROXY: '1' }, '198.51.100.7'), oneCaller, 'of as many as there are and no more: what the client wrote before them is its own');
  t.same(await statuses({ TRUST_PROXY: '2' }, '198.51.100.7'), two, 'of the last two');
});

/** What the public API promises for every reply, whatever the route: ids, traces, headers, problems. */
import t from 'tap';
import { isProblem, testServer } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const routes: RoutesPlugin = async (app) => {
  const config = { access: 'anyone' } as const;
  app.get('/orders/:id', { config }, async () => ({ found: true }));
  app.delete('/orders/:id', { config }, async (_request, reply) => reply.code(204).send());
};

t.test('every reply', async (t) => {
  const server = await testServer(t, { routes });

  await t.test('has the request\'s id: the caller\'s where it is sane, else a new one', async (t) => {
    const named = await server.request('GET', '/api/v1/orders/1', { headers: { 'x-request-id': 'client-7.A_b' } });
    t.equal(named.headers.get('x-request-id'), 'client-7.A_b');
    for (const insane of ['a b', 'x'.repeat(65), 'a;b', 'ä']) {
      const { headers } = await server.request('GET', '/health', { headers: { 'x-request-id': insane } });
      t.match(headers.get('x-request-id'), /^[A-Za-z0-9_-]{16}$/, `"${insane}" is not taken over`);
    }
  });

  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const parent = '00f067aa0ba902b7';

  await t.test('continues the caller\'s trace with a span of its own', async (t) => {
    const { headers, body } = await server.request('GET', '/nowhere', { headers: { traceparent: `00-${traceId}-${parent}-00` } });
    t.match(headers.get('traceparent'), new RegExp(`^00-${traceId}-(?!${parent})[0-9a-f]{16}-00$`));
    t.equal(body.traceId, traceId);
    const later = await server.request('GET', '/health', { headers: { traceparent: `01-${traceId}-${parent}-01-more` } });
    t.match(later.headers.get('traceparent'), `00-${traceId}-`, 'a later version is read as far as it is known');
  });

  const broken = [
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `ff-${traceId}-${parent}-01`,
    `00-${traceId}-${parent}-01-more`,
    'x',
  ];
  for (const traceparent of broken) {
    await t.test(`starts a new trace instead of ${traceparent}`, async (t) => {
      const { headers } = await server.request('GET', '/health', { headers: { traceparent } });
      t.match(headers.get('traceparent'), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      t.notMatch(headers.get('traceparent'), traceId);
    });
  }

  await t.test('cannot be sniffed, framed or executed, and says nothing of what made it', async (t) => {
    const { headers } = await server.request('GET', '/api/v1/orders/1');
    t.equal(headers.get('x-content-type-options'), 'nosniff');
    t.match(headers.get('content-security-policy'), "default-src 'none'");
    for (const name of ['server', 'x-powered-by']) t.equal(headers.get(name), null);
  });

  await t.test('to HEAD is as to GET, without a body', async (t) => {
    const [head, get] = await Promise.all(['HEAD', 'GET'].map(async (method) => server.request(method, '/api/v1/orders/1')));
    t.equal(head!.status, 200);
    t.equal(head!.body, '');
    t.equal(head!.headers.get('content-length'), get!.headers.get('content-length'));
  });

  await t.test('is a problem where nothing is served', async (t) => {
    isProblem(t, await server.request('GET', '/api/v1/nothing'), 404, 'ROUTE_NOT_FOUND');
    isProblem(t, await server.request('POST', '/api/v1/nothing', { body: '{"half' }), 404, 'ROUTE_NOT_FOUND');
    isProblem(t, await server.request('POST', '/api/v1/nothing', { body: 'x'.repeat(110_000) }), 404, 'ROUTE_NOT_FOUND');
  });

  await t.test('to a method that is not taken names those that are', async (t) => {
    const reply = await server.request('PUT', '/api/v1/orders/1?a=1', { body: {} });
    isProblem(t, reply, 405, 'METHOD_NOT_ALLOWED');
    t.equal(reply.headers.get('allow'), 'GET, HEAD, DELETE');
    t.equal(reply.body.instance, '/api/v1/orders/1', 'the query is not repeated');
  });

  await t.test('names the path alone where a proxy asked for a whole URL', async (t) => {
    const ask = (line: string) => server.raw(`${line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    t.match(await ask('GET http://inside.example:81/nothing?x=1'), /"instance":"\/nothing"/);
    t.match(await ask('GET http://inside.example'), /"instance":"\/"/);
    t.match(await ask('PUT http://inside.example/api/v1/orders/1'), /^HTTP\/1\.1 405 [^]*"instance":"\/api\/v1\/orders\/1"/);
  });
});

t.test('what is not even a request', async (t) => {
  const server = await testServer(t, { routes });

  await t.test('is answered with a problem, and the connection closed', async (t) => {
    const answered = await server.raw('nonsense\r\n\r\n');
    t.match(answered, /^HTTP\/1\.1 400 Bad Request\r\n[^]*problem\+json[^]*"code":"MALFORMED_REQUEST"/);
    t.match(answered, /\r\ncache-control: no-store\r\n/);
    t.match(answered, /\r\nx-request-id: [^\s]+\r\n/);
    t.match(answered, /\r\ntraceparent: 00-([0-9a-f]{32})-[^]*"traceId":"\1"/, 'the trace of the headers and of the problem are one');
    const endless = `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`;
    t.match(await server.raw(endless), /^HTTP\/1\.1 431 [^]*"code":"HEADERS_TOO_LARGE"/);
    const smuggled = 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n';
    t.match(await server.raw(smuggled), /^HTTP\/1\.1 400 /);
  });

  await t.test('but expects too much, is answered all the same', async (t) => {
    const ask = (line: string) => server.raw(`${line} HTTP/1.1\r\nhost: a\r\nexpect: a-miracle\r\nconnection: close\r\n\r\n`);
    t.match(await ask('GET /health'), /^HTTP\/1\.1 200 /);
    t.match(await ask('GET /nowhere'), /^HTTP\/1\.1 404 [^]*"code":"ROUTE_NOT_FOUND"/);
  });

  await t.test('does not disturb others', async (t) => {
    t.equal((await server.request('GET', '/health')).status, 200);
  });
});

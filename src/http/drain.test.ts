/** Closing: what was accepted is answered, and no connection keeps the server from ending. */
import { once } from 'node:events';
import http from 'node:http';
import { connect } from 'node:net';
import t from 'tap';
import { testServer } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

function get(url: string, agent: http.Agent): Promise<{ status: number | undefined; connection: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode, connection: response.headers.connection, body }));
    }).on('error', reject);
  });
}

t.test('a server that closes', async (t) => {
  const released = Promise.withResolvers<void>();
  let started = 0;
  const routes: RoutesPlugin = async (app) => {
    app.get('/slow', { config: { access: 'anyone' } }, async () => {
      started += 1;
      await released.promise;
      return { done: true };
    });
  };
  let ready = true;
  const server = await testServer(t, { routes, ready: () => ({ ready, reasons: ready ? [] : ['draining'] }) });
  const agent = new http.Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());

  await t.test('says so at /ready first', async (t) => {
    t.equal((await server.request('GET', '/ready')).status, 200);
    ready = false;
    const { status, body, headers } = await server.request('GET', '/ready');
    t.equal(status, 503);
    t.same(body, { ready: false, reasons: ['draining'] });
    t.ok(headers.get('retry-after'));
    t.equal((await server.request('GET', '/health')).status, 200);
  });

  await t.test('answers what is in hand, tells the client to close, and ends at once', async (t) => {
    await get(`${server.url}/health`, agent);
    const pending = [get(`${server.url}/api/v1/slow`, agent), get(`${server.url}/api/v1/slow`, agent)];
    while (started < 2) await new Promise(setImmediate);
    const begun = performance.now();
    const closed = server.app.close();
    await new Promise(setImmediate);
    released.resolve();
    for (const reply of await Promise.all(pending)) t.same(reply, { status: 200, connection: 'close', body: '{"done":true}' });
    await closed;
    t.ok(performance.now() - begun < 5_000, 'without waiting for keep-alive times');
    await t.rejects(get(`${server.url}/health`, agent));
  });

  await t.test('may take its time', async (t) => {
    t.equal(server.app.initialConfig.pluginTimeout, 0, 'by default closing fails after 10 s, and takes the process along');
  });
});

t.test('a request that was answered before its end keeps no server from ending', async (t) => {
  const routes: RoutesPlugin = async (app) => {
    app.post('/mine', { config: { access: ['customer'] } }, async () => ({}));
  };
  const server = await testServer(t, { routes });
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.write('POST /api/v1/mine HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\nhalf ');
  t.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 401 /);
  const closed = server.app.close();
  await new Promise(setImmediate);
  const begun = performance.now();
  socket.write('of it');
  await closed;
  t.ok(performance.now() - begun < 5_000, 'once the rest has come');
});

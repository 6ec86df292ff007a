/** A client that closes its side of the connection has said all that it wanted to say; it may still listen. */
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import type { Call } from '../calls/call.ts';
import { receivedBy } from './raw.testing.ts';
import type { RoutesPlugin } from './route.ts';
import { testServer } from './server.testing.ts';

const handler = new EventEmitter<{ begun: [Call]; goOn: [] }>();
const routes: RoutesPlugin = async (app) => {
  const config = { access: 'anyone' } as const;
  app.post('/orders', { config }, async () => ({ done: true }));
  app.post('/waits', { config }, async ({ call }) => {
    const goOn = once(handler, 'goOn');
    handler.emit('begun', call);
    await Promise.race([goOn, once(call.signal, 'abort')]);
    call.throwIfOver();
    return { done: true };
  });
};

const server = await testServer(t, { routes });
const post = (path: string, length = 2) =>
  `POST /api/v1/${path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n{}`;

/** A request whose handler has begun, with both ends of its connection. */
async function waiting(): Promise<{ call: Call; client: Socket; accepted: Socket; answer: Promise<string> }> {
  const [accepting, begun] = [once(server.app.server, 'connection'), once(handler, 'begun')];
  const client = connect(Number(new URL(server.url).port), '127.0.0.1');
  const answer = receivedBy(client);
  client.write(post('waits'));
  const [[accepted], [call]] = [await accepting, await begun];
  return { call, client, accepted, answer };
}

t.test('a request is answered that ends with its half of the connection, and the connection is closed', async (t) => {
  t.match(await server.raw(post('orders'), { halfClose: true }), /^HTTP\/1\.1 200 [^]*\{"done":true\}$/);
  const both = await server.raw(post('orders') + post('orders'), { halfClose: true });
  t.equal(both.match(/\{"done":true\}/g)?.length, 2, 'each of several');
});

t.test('a request that ends too early is no request', async (t) => {
  const broken = /^HTTP\/1\.1 400 [^]*"detail":"the request ended before it was whole"[^]*"code":"MALFORMED_REQUEST"/;
  for (const bytes of ['GET /hea', post('orders', 100)]) t.match(await server.raw(bytes, { halfClose: true }), broken);
  t.equal(await server.raw('', { halfClose: true }), '');
});

t.test('who says all at once and waits is waited for', async (t) => {
  const { call, client, accepted, answer } = await waiting();
  const heard = once(accepted, 'end');
  client.end();
  await heard;
  t.equal(call.signal.aborted, false);
  handler.emit('goOn');
  t.match(await answer, /^HTTP\/1\.1 200 /);
});

t.test('who closes when a second has passed has given up; where it listens all the same, it is told', async (t) => {
  const now = performance.now.bind(performance);
  const { call, client, answer } = await waiting();
  t.intercept(performance, 'now', { value: () => now() + 1_000 });
  client.end();
  t.match(await answer, /^HTTP\/1\.1 499 [^]*"code":"CANCELLED"/);
  t.equal(call.signal.aborted, true);
  t.match(await server.metrics.registry.metrics(), 'route="/api/v1/waits",status="499"} 1');
});

t.test('who resets the connection is gone at once', async () => {
  const { call, client } = await waiting();
  const aborted = once(call.signal, 'abort');
  client.resetAndDestroy();
  await aborted;
});

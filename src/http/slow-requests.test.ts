/** What does not arrive in time is answered, and the connection is free again. */
import t from 'tap';
import type { RoutesPlugin } from './route.ts';
import { testServer } from './server.testing.ts';

let handled = 0;
const routes: RoutesPlugin = async (app) => {
  app.post('/orders', { config: { access: 'anyone' } }, async () => ({ handled: (handled += 1) }));
};

const LATE = /^HTTP\/1\.1 408 Request Timeout\r\ncontent-type: application\/problem\+json\r\n[^]*connection: close\r\n[^]*"code":"REQUEST_TIMEOUT"/;
const head = 'POST /api/v1/orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n';
const stalled: Readonly<Record<string, string>> = {
  'in its headers': head,
  'in its body': `${head}content-length: 2\r\n\r\n{`,
  'in a chunk of its body': `${head}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`,
};

t.test('a request that stalls is answered with 408 when its time is over', async (t) => {
  const server = await testServer(t, { routes, settings: { REQUEST_TIMEOUT_MS: 1_000 } });
  const began = performance.now();
  const answers = await Promise.all(Object.entries(stalled).map(async ([where, bytes]) => [where, await server.raw(bytes)] as const));
  const took = performance.now() - began;
  for (const [where, answer] of answers) t.match(answer, LATE, where);
  t.ok(took >= 1_000 && took < 5_000, `after ${took} ms: a second, and one more to notice; Node.js by itself would take 60 s`);
  t.equal(handled, 0);
});

/** Each would be whole after six seconds, and is never silent for longer than a tenth of one. */
const PIECES = 60;
const closing = `${head}connection: close\r\n`;
const slow: Readonly<Record<string, readonly [string, readonly string[]]>> = {
  'in its headers': [`${closing}x-long: `, [...Array<string>(PIECES - 1).fill('a'), '\r\ncontent-length: 2\r\n\r\n{}']],
  'in its body': [`${closing}content-length: ${PIECES}\r\n\r\n`, ['{', ...Array<string>(PIECES - 2).fill(' '), '}']],
  'in the chunks of its body': [`${closing}transfer-encoding: chunked\r\n\r\n`, [...['{', ...Array<string>(PIECES - 3).fill(' '), '}'].map((byte) => `1\r\n${byte}\r\n`), '0\r\n\r\n']],
};

t.test('a request that comes byte by byte has no more time than one that stalls', async (t) => {
  const server = await testServer(t, { routes, settings: { REQUEST_TIMEOUT_MS: 1_000 } });
  const began = performance.now();
  const answers = Object.entries(slow).map(async ([where, [bytes, pieces]]) => {
    const answer = await server.raw(bytes, { drip: { pieces, pauseMs: 100 } });
    return { where, answer, took: performance.now() - began };
  });
  for (const { where, answer, took } of await Promise.all(answers)) {
    t.match(answer, LATE, where);
    t.ok(took >= 1_000 && took < 5_000, `${where}: after ${took} ms`);
  }
  t.equal(handled, 0);
});

t.test('requests have 30 seconds unless told otherwise, and are looked at every second', async (t) => {
  const { server } = (await testServer(t, { routes })).app;
  t.match(server, { requestTimeout: 30_000, headersTimeout: 30_000 });
});

/** Where a request's trace comes from, who decides whether it is recorded, and what its span says. */
import { once } from 'node:events';
import http from 'node:http';
import t from 'tap';
import { CallError } from '../contract/errors.ts';
import { type RecordedSpan, recordSpans, type SpanRecorder } from '../testing/testing.ts';
import { uuidv7 } from '../uuid.ts';
import type { RoutesPlugin } from './route.ts';
import { type TestReply, testServer, type TestServer, tokenOf } from './server.testing.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const arrived = Promise.withResolvers<void>();

const routes: RoutesPlugin = async (app) => {
  const config = { access: 'anyone' } as const;
  app.get('/things/:id', { config }, async ({ call }) => ({ traceparent: call.traceparent, tracestate: call.tracestate ?? null }));
  app.get('/files/*', { config }, async () => ({}));
  app.get('/down', { config }, async () => {
    throw new CallError('UNAVAILABLE', 'hunter2 is away');
  });
  app.get('/broken', { config }, async () => {
    throw new Error('hunter2');
  });
  app.get('/held', { config }, async ({ call }) => {
    arrived.resolve();
    await once(call.signal, 'abort');
    return {};
  });
  app.get('/private', { config: { access: ['admin'] } }, async () => ({}));
};

interface Traced {
  readonly server: TestServer;
  readonly recorder: SpanRecorder;
}

async function traced(t: Parameters<typeof testServer>[0], env: Record<string, string> = {}): Promise<Traced> {
  const recorder = await recordSpans(t, env);
  return { recorder, server: await testServer(t, { routes, tracing: recorder.tracing }) };
}

/** The span of the request with this id; it ends after the client has its reply. */
async function spanOf({ recorder }: Traced, requestId: string): Promise<RecordedSpan> {
  for (const deadline = Date.now() + 5_000; ; await new Promise(setImmediate)) {
    const span = recorder.spans().find(({ attributes }) => attributes['cleave.request.id'] === requestId);
    if (span) return span;
    if (Date.now() > deadline) throw new Error(`waited in vain for the span of request ${requestId}`);
  }
}

async function ask(shop: Traced, path: string, { token, headers }: { token?: string; headers?: Record<string, string> } = {}): Promise<{ reply: TestReply; span: RecordedSpan }> {
  const id = uuidv7();
  const reply = await shop.server.request('GET', path, { token, headers: { 'x-request-id': id, ...headers } });
  return { reply, span: await spanOf(shop, id) };
}

t.test('a request', async (t) => {
  const shop = await traced(t);
  const { server, recorder } = shop;

  await t.test('without a trace begins one', async (t) => {
    const { reply, span } = await ask(shop, '/api/v1/things/1', { headers: { tracestate: 'a=1' } });
    t.equal(span.parentId, undefined);
    t.same(reply.body, { traceparent: `00-${span.traceId}-${span.id}-01`, tracestate: null }, 'a state without a trace means nothing');
    t.equal(reply.headers.get('traceparent'), reply.body.traceparent);
  });

  await t.test('with one continues it, state included', async (t) => {
    const { reply, span } = await ask(shop, '/api/v1/things/1', { headers: { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate: 'rojo=1,congo=2' } });
    t.match(span, { traceId: TRACE, parentId: PARENT, tracestate: 'rojo=1,congo=2' });
    t.same(reply.body, { traceparent: `00-${TRACE}-${span.id}-01`, tracestate: 'rojo=1,congo=2' });
  });

  await t.test('with one that is malformed begins one; a state that is none is dropped', async (t) => {
    const broken = await ask(shop, '/api/v1/things/1', { headers: { traceparent: `00-${TRACE}-zz-01`, tracestate: 'a=1' } });
    t.not(broken.span.traceId, TRACE);
    for (const tracestate of ['nothing', `a=${'x'.repeat(600)}`]) {
      const { reply, span } = await ask(shop, '/api/v1/things/1', { headers: { traceparent: `00-${TRACE}-${PARENT}-01`, tracestate } });
      t.equal(reply.body.tracestate, null);
      t.equal(span.traceId, TRACE);
    }
  });

  await t.test('shows ids in its path, and nothing else that somebody wrote there', async (t) => {
    const id = uuidv7();
    const shown = async (path: string) => (await ask(shop, path)).span.attributes['url.path'];
    t.equal(await shown(`/api/v1/things/${id}?email=me@example.com`), `/api/v1/things/${id}`);
    t.equal(await shown('/api/v1/things/me@example.com'), '/api/v1/things/REDACTED');
    t.equal(await shown('/api/v1/files/me@example.com/x'), '/api/v1/files/REDACTED');
    t.equal(await shown('/me@example.com'), '/REDACTED');
    t.notMatch(recorder.text(), 'example.com');
  });

  await t.test('that reaches no route is named by its method alone', async (t) => {
    const { span } = await ask(shop, '/nowhere');
    t.match(span, { name: 'GET', kind: 'server', failed: false, attributes: { 'http.response.status_code': 404, 'cleave.problem': 'ROUTE_NOT_FOUND' } });
    t.notOk('http.route' in span.attributes);
  });

  await t.test('has failed when that was our fault', async (t) => {
    t.match((await ask(shop, '/api/v1/down')).span, { name: 'GET /api/v1/down', failed: true, attributes: { 'http.response.status_code': 503, 'error.type': 'UNAVAILABLE' } });
    t.match((await ask(shop, '/api/v1/broken')).span, { failed: true, attributes: { 'http.response.status_code': 500, 'error.type': 'INTERNAL' } });
    t.match((await ask(shop, '/api/v1/private')).span, { failed: false, attributes: { 'http.response.status_code': 401, 'cleave.problem': 'UNAUTHENTICATED' } });
    t.match((await ask(shop, '/api/v1/private', { token: tokenOf('customer') })).span, { failed: false, attributes: { 'http.response.status_code': 403 } });
    t.notMatch(recorder.text(), 'hunter2');
  });

  await t.test('whose client went away has no status', async (t) => {
    const id = uuidv7();
    const request = http.get(`${server.url}/api/v1/held`, { headers: { 'x-request-id': id } }).on('error', () => undefined);
    await arrived.promise;
    request.socket!.resetAndDestroy();
    const span = await spanOf(shop, id);
    t.match(span, { failed: false, attributes: { 'cleave.problem': 'CANCELLED' } });
    t.notOk('http.response.status_code' in span.attributes);
  });

  await t.test('of a probe or a scraper is no trace', async (t) => {
    for (const path of ['/health', '/ready', '/metrics']) t.equal((await server.request('GET', path)).status, 200);
    await ask(shop, '/api/v1/things/1');
    t.same(recorder.spans().filter(({ attributes }) => attributes['cleave.module'] === 'platform' && attributes['http.route'] !== undefined), []);
  });
});

t.test('who decides whether a trace is recorded', async (t) => {
  const cases: { env: Record<string, string>; flags: string | undefined; recorded: boolean }[] = [
    { env: {}, flags: '01', recorded: true },
    { env: {}, flags: '00', recorded: false },
    { env: { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, flags: undefined, recorded: false },
    { env: { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, flags: '01', recorded: true },
    { env: { OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, flags: undefined, recorded: false },
    { env: { OTEL_TRACES_SAMPLER: 'always_on' }, flags: '00', recorded: true },
    { env: { OTEL_TRACES_SAMPLER: 'always_off' }, flags: '01', recorded: false },
    { env: { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, flags: '00', recorded: true },
  ];
  for (const { env, flags, recorded } of cases) {
    await t.test(`${JSON.stringify(env)}, the caller says ${flags ?? 'nothing'}`, async (t) => {
      const { server, recorder } = await traced(t, env);
      const reply = await server.request('GET', '/api/v1/things/1', { headers: flags === undefined ? {} : { traceparent: `00-${TRACE}-${PARENT}-${flags}` } });
      await server.app.close();
      t.equal(recorder.spans().length, recorded ? 1 : 0);
      t.match(reply.headers.get('traceparent'), recorded ? /-01$/ : /-00$/, 'what follows is told');
      if (flags !== undefined) t.match(reply.headers.get('traceparent'), TRACE, 'the trace is continued either way');
    });
  }
});

/** What a handler gets of its request: a call with a deadline, a way to notice that the client has gone, a log, a gate. */
import { once } from 'node:events';
import http from 'node:http';
import t from 'tap';
import type { Call } from '../calls/call.ts';
import { CallError } from '../contract/errors.ts';
import { testServer, tokenOf } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

/** A promise and what settles it. */
function gate() {
  return Promise.withResolvers<void>();
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 5_000; !condition(); await new Promise(setImmediate)) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
  }
}

t.test('request.call', async (t) => {
  const calls: Call[] = [];
  const going = gate();
  const routes: RoutesPlugin = async (app) => {
    app.get('/call', { config: { access: 'optional' } }, async (request) => {
      const { call } = request;
      calls.push(call);
      return { same: call === request.call };
    });
    app.get('/short', { config: { access: 'anyone', deadlineMs: 50 } }, async (request) => ({ remaining: request.call.remainingMs }));
    app.get('/waits', { config: { access: 'anyone' } }, async (request) => {
      calls.push(request.call);
      await going.promise;
      return {};
    });
  };
  const server = await testServer(t, { routes });

  await t.test('carries who calls, for whom, until when and in which trace', async (t) => {
    const before = Date.now();
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01`, 'x-request-id': 'r-1' };
    const reply = await server.request('GET', '/api/v1/call', { token: tokenOf('support', { claims: { sub: 'u-1' } }), headers });
    t.same(reply.body, { same: true });
    const call = calls.at(-1)!;
    t.match(call, { caller: 'shop', requestId: 'r-1', traceId, actor: { id: 'u-1', role: 'support' } });
    t.equal(call.traceparent, reply.headers.get('traceparent'));
    t.ok(call.deadline >= before + 9_900 && call.deadline <= Date.now() + 10_000, '10 s unless the route says otherwise');
    t.equal(call.signal.aborted, false);
    t.ok((await server.request('GET', '/api/v1/short')).body.remaining <= 50);
  });

  await t.test('is nobody\'s without a token', async (t) => {
    await server.request('GET', '/api/v1/call');
    t.equal(calls.at(-1)!.actor, undefined);
  });

  await t.test('is cancelled when the client goes away, and the metrics say 499', async (t) => {
    const seen = calls.length;
    const request = http.get(`${server.url}/api/v1/waits`).on('error', () => undefined);
    await until(() => calls.length > seen, 'the handler');
    t.equal(calls.at(-1)!.signal.aborted, false);
    request.socket!.resetAndDestroy();
    await once(calls.at(-1)!.signal, 'abort');
    t.throws(() => calls.at(-1)!.throwIfOver(), { code: 'CANCELLED' });
    going.resolve();
    t.match(
      await server.metrics.registry.metrics(),
      'http_requests_total{module="shop",method="GET",route="/api/v1/waits",status="499"} 1',
    );
  });

  await t.test('is not cancelled by a reply that was sent', async (t) => {
    await server.request('GET', '/api/v1/call');
    const call = calls.at(-1)!;
    await until(() => server.lines.some(({ reqId, msg }) => reqId === call.requestId && msg === 'request done'), 'the end');
    t.equal(call.cancellation!.aborted, false);
  });
});

t.test('the gate of a module', async (t) => {
  let inFlight = 0;
  let closed = false;
  const held = gate();
  const routes: RoutesPlugin = async (app) => {
    const config = { access: 'anyone' } as const;
    app.get('/held', { config }, async () => held.promise);
    app.get('/fails', { config }, async () => {
      throw new Error('no');
    });
    app.get('/throws', { config }, () => {
      throw new Error('no');
    });
    app.get('/sends', { config }, (_request, reply) => void reply.send({ inFlight }));
    app.get('/returns', { config }, async (_request, reply) => reply.send({ inFlight }));
    app.get('/private', { config: { access: ['admin'] } }, async () => ({}));
  };
  const enter = (module: string) => {
    t.equal(module, 'shop');
    if (closed) throw new CallError('UNAVAILABLE', 'shop is shutting down');
    inFlight += 1;
    return () => void (inFlight -= 1);
  };
  const server = await testServer(t, { routes, enter });

  await t.test('counts what is in flight, however it ends', async (t) => {
    for (const path of ['sends', 'returns']) t.same((await server.request('GET', `/api/v1/${path}`)).body, { inFlight: 1 });
    for (const path of ['fails', 'throws']) t.equal((await server.request('GET', `/api/v1/${path}`)).status, 500);
    await until(() => inFlight === 0, 'all to have left');
    t.equal((await server.request('GET', '/api/v1/private')).status, 401);
    t.equal(inFlight, 0, 'what is refused at the door never enters');
  });

  await t.test('counts work whose client has gone', async (t) => {
    const request = http.get(`${server.url}/api/v1/held`).on('error', () => undefined);
    await until(() => inFlight === 1, 'the handler');
    request.socket!.resetAndDestroy();
    await until(() => server.lines.some(({ status }) => status === 499), 'the server to notice');
    t.equal(inFlight, 1);
    held.resolve();
    await until(() => inFlight === 0, 'the work to end');
  });

  await t.test('is 503 when it is closed', async (t) => {
    closed = true;
    const { status, body, headers } = await server.request('GET', '/api/v1/returns');
    t.equal(status, 503);
    t.match(body, { code: 'UNAVAILABLE', detail: 'shop is shutting down' });
    t.ok(headers.get('retry-after'));
    t.equal((await server.request('GET', '/health')).status, 200);
  });
});

t.test('the log of a request', async (t) => {
  const routes: RoutesPlugin = async (app) => {
    app.get('/writes', { config: { access: 'anyone' } }, async (request) => {
      request.log.info({ password: 'hunter2' }, 'written by the handler');
      request.log.child({ part: 'p' }).warn('by a child');
      return { level: request.log.level };
    });
  };
  const server = await testServer(t, { routes, level: 'info' });

  await t.test('names request, trace and module in each line', async (t) => {
    const { headers, body } = await server.request('GET', '/api/v1/writes', { headers: { 'x-request-id': 'r-2' } });
    const traceId = headers.get('traceparent')!.slice(3, 35);
    t.match(server.lines, [
      { level: 'info', module: 'shop', reqId: 'r-2', traceId, password: '[redacted]', msg: 'written by the handler' },
      { level: 'warn', module: 'shop', reqId: 'r-2', traceId, part: 'p', msg: 'by a child' },
    ]);
    t.same(body, { level: 'info' });
  });

  await t.test('has no line for what went well and fast', async (t) => {
    const before = server.lines.length;
    await server.request('GET', '/health');
    t.equal(server.lines.length, before);
  });
});

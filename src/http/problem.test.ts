/** What leaves the house when something goes wrong, and what stays in the log. */
import t from 'tap';
import { CallError, ContractError, type KernelCode, kernelErrors } from '../contract/errors.ts';
import { testServer } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const errors = {
  ORDER_NOT_FOUND: { status: 404, title: 'No such order', remedy: 'Check the id.' },
  GATEWAY_DOWN: { status: 503, title: 'The gateway is down', remedy: 'Repeat.' },
  TOO_MANY_TRIES: { status: 429, title: 'Too many tries', remedy: 'Wait.' },
  WRONG_PASSWORD: { status: 401, title: 'Wrong password', remedy: 'Check it.' },
};

function refusal(code: keyof typeof errors, data?: Record<string, unknown>, module = 'shop'): ContractError {
  return new ContractError({ module, code, ...errors[code], detail: `detail of ${code}`, ...(data && { data }) });
}

const SECRET = 'postgres://admin:hunter2@db.internal:5432';

const thrown: Readonly<Record<string, unknown>> = {
  refusal: refusal('ORDER_NOT_FOUND', { orderIds: ['a', 'b'], status: 200, code: 'FAKE', traceId: 'fake', type: 'fake' }),
  unavailable: refusal('GATEWAY_DOWN'),
  throttled: refusal('TOO_MANY_TRIES', { retryAfterSeconds: 17, limit: 5 }),
  unauthenticated: refusal('WRONG_PASSWORD'),
  foreign: refusal('ORDER_NOT_FOUND', undefined, 'elsewhere'),
  undeclared: new ContractError({ module: 'shop', code: 'SURPRISE', status: 404, title: 'Surprise', detail: SECRET }),
  bug: new TypeError(`cannot connect to ${SECRET}`, { cause: new Error('inner cause') }),
  database: Object.assign(new Error(`duplicate key, see ${SECRET}`), { code: '23505', statusCode: 409, detail: SECRET }),
  reset: Object.assign(new Error(`read ECONNRESET from ${SECRET}`), { code: 'ECONNRESET' }),
  text: 'a thrown text',
  nothing: undefined,
};

const routes: RoutesPlugin = async (app) => {
  const config = { access: 'anyone' } as const;
  app.get('/throw/:what', { config }, async (request) => {
    throw thrown[(request.params as { what: string }).what] as Error;
  });
  app.get('/call/:code', { config }, async (request) => {
    const { code } = request.params as { code: KernelCode };
    const errors = code === 'VALIDATION_FAILED' ? [{ path: '/cursor', message: 'no' }] : undefined;
    throw new CallError(code, `detail of ${code}`, { cause: new Error(SECRET), ...(errors && { errors }) });
  });
  app.get('/already', { config }, async (_request, reply) => {
    reply.header('retry-after', 99).header('content-type', 'text/html');
    throw refusal('GATEWAY_DOWN');
  });
  app.get(
    '/unserialisable',
    { config, schema: { response: { 200: { type: 'object', required: ['a'], properties: { a: { type: 'string' } } } } } },
    async () => ({ b: 1 }),
  );
};

t.test('problems', async (t) => {
  const server = await testServer(t, { routes, errors });
  const throwing = async (what: string) => server.request('GET', `/api/v1/throw/${what}`);

  await t.test('a declared refusal keeps its code; its data extends the document and overrides nothing', async (t) => {
    const { status, body } = await throwing('refusal');
    t.equal(status, 404);
    t.match(body, {
      type: 'urn:cleave:problem:ORDER_NOT_FOUND', title: 'No such order', status: 404, detail: 'detail of ORDER_NOT_FOUND',
      instance: '/api/v1/throw/refusal', code: 'ORDER_NOT_FOUND', traceId: /^[0-9a-f]{32}$/, orderIds: ['a', 'b'],
    });
  });

  await t.test('what is unavailable says when to come back', async (t) => {
    t.match((await throwing('unavailable')).headers.get('retry-after'), /^[1-9]\d*$/);
    t.equal((await server.request('GET', '/api/v1/already')).headers.get('retry-after'), '99', 'unless the route has said so');
    const throttled = await throwing('throttled');
    t.equal(throttled.status, 429);
    t.equal(throttled.headers.get('retry-after'), '17');
    t.same(['limit', 'remaining', 'reset'].map((name) => throttled.headers.get(`ratelimit-${name}`)), ['5', '0', '17']);
  });

  await t.test('every 401 names the scheme', async (t) => {
    t.equal((await throwing('unauthenticated')).headers.get('www-authenticate'), 'Bearer');
  });

  await t.test('errors of the kernel have the status of its catalogue', async (t) => {
    for (const code of Object.keys(kernelErrors).filter((name) => name !== 'INTERNAL') as KernelCode[]) {
      const { status, body, headers } = await server.request('GET', `/api/v1/call/${code}`);
      t.equal(status, kernelErrors[code].status);
      t.match(body, { code, title: kernelErrors[code].title, detail: `detail of ${code}` });
      t.equal(headers.has('retry-after'), status === 503, `${code} ${status === 503 ? 'says' : 'does not say'} when to come back`);
    }
    t.same((await server.request('GET', '/api/v1/call/VALIDATION_FAILED')).body.errors, [{ path: '/cursor', message: 'no' }]);
  });

  await t.test('whatever else is thrown is a 500 that tells nothing', async (t) => {
    for (const what of ['foreign', 'undeclared', 'bug', 'database', 'reset', 'text', 'nothing']) {
      const { status, body, headers } = await throwing(what);
      t.equal(status, 500, what);
      t.same(Object.keys(body).sort(), ['code', 'detail', 'instance', 'status', 'title', 'traceId', 'type']);
      t.match(body, { code: 'INTERNAL', title: kernelErrors.INTERNAL.title });
      t.notMatch(JSON.stringify(body), /hunter2|detail of|connect|duplicate|a thrown/);
      t.equal(headers.get('content-type'), 'application/problem+json');
    }
    const internal = await server.request('GET', '/api/v1/call/INTERNAL');
    t.notMatch(internal.body.detail, 'detail of');
    t.equal((await server.request('GET', '/api/v1/unserialisable')).body.code, 'INTERNAL');
  });

  await t.test('and is logged with its stack, causes, request and trace', async (t) => {
    const { body } = await server.request('GET', '/api/v1/throw/bug', { headers: { 'x-request-id': 'find-me' } });
    const line = server.lines.find(({ reqId, level }) => reqId === 'find-me' && level === 'error');
    t.match(line, { module: 'shop', traceId: body.traceId, route: '/api/v1/throw/:what', method: 'GET', code: 'INTERNAL' });
    t.match(line, { err: { type: 'TypeError', stack: /problem\.test/, cause: { message: 'inner cause' } } });
  });

  await t.test('a refusal of another module is reported as the bug that it is', async (t) => {
    await throwing('foreign');
    t.match(server.lines.findLast(({ level }) => level === 'error'), { leaked: 'elsewhere.ORDER_NOT_FOUND', msg: /catch it there/ });
  });

  await t.test('refusals are no errors of ours', async (t) => {
    const before = server.lines.length;
    await throwing('refusal');
    const added = server.lines.slice(before).filter(({ level }) => level !== 'debug');
    t.same(added, []);
  });
});

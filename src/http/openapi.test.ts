/** The document says what the routes do, to the satisfaction of a linter, and the pages that show it need no network. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { Money, OneOf, Page, PageQuery, strict, Timestamp, Uuid } from '../contract/schemas.ts';
import { idempotencyKeyHeader } from './idempotency.ts';
import { testServer } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const errors = {
  ORDER_NOT_FOUND: { status: 404, title: 'No such order', remedy: 'Check the id.' },
  ORDER_TOO_LARGE: { status: 422, title: 'The order is too large', remedy: 'Order less.' },
};

const Order = strict({
  id: Uuid,
  total: Money,
  note: Type.Union([Type.String(), Type.Null()]),
  refund: Type.Union([Money, Type.Null()]),
  reason: Type.Union([OneOf(['a', 'b']), Type.Null()]),
  status: OneOf(['pending', 'paid']),
  createdAt: Timestamp,
});
const params = strict({ id: Uuid });
const NewOrder = strict(
  { items: Type.Array(strict({ productId: Uuid, quantity: Type.Integer({ minimum: 1 }) })) },
  { examples: [{ items: [{ productId: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10', quantity: 2 }] }] },
);

const routes: RoutesPlugin = async (app) => {
  const summary = 'A summary.';
  app.get(
    '/orders',
    {
      config: { access: ['customer', 'support', 'admin'] },
      schema: {
        summary,
        querystring: Type.Object({ ...PageQuery, status: Type.Optional(OneOf(['pending', 'paid'])) }),
        response: { 200: Page(Order) },
      },
    },
    async () => ({ items: [], nextCursor: null }),
  );
  app.get(
    '/orders/mine',
    { config: { access: ['customer'] }, schema: { operationId: 'getMine', summary, tags: ['shop'], response: { 200: Order } } },
    async () => order,
  );
  app.get(
    '/orders/:id',
    {
      config: { access: 'optional', errors: ['ORDER_NOT_FOUND'] },
      schema: { summary, params, response: { 200: Order, 304: Type.Null({ description: 'Not modified' }) } },
    },
    async () => order,
  );
  app.post(
    '/orders',
    {
      config: { access: ['customer'], errors: ['ORDER_TOO_LARGE'] },
      schema: {
        summary,
        description: 'More words.',
        headers: idempotencyKeyHeader,
        body: NewOrder,
        response: { 201: Order },
      },
    },
    async (_request, reply) => reply.code(201).send(order),
  );
  app.post(
    '/orders/:id/cancel',
    { config: { access: ['customer', 'admin'] }, schema: { summary, params, response: { 200: Order } } },
    async () => order,
  );
  app.delete(
    '/orders/:id',
    { config: { access: ['admin'] }, schema: { summary, params, response: { 204: Type.Null() } } },
    async (_request, reply) => reply.code(204).send(null),
  );
};

const order = {
  id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10',
  total: { amount: 1, currency: 'USD' },
  note: null,
  refund: null,
  reason: null,
  status: 'paid' as const,
  createdAt: '2026-11-23T08:15:30.000Z',
};

const lint = promisify(execFile);

/** Runs the linter's recommended rules; resolves with what it found, errors and warnings alike. */
async function problemsOf(document: unknown): Promise<unknown[]> {
  const folder = await mkdtemp(path.join(tmpdir(), 'cleave-openapi-'));
  const file = path.join(folder, 'openapi.json');
  await writeFile(file, JSON.stringify(document));
  const cli = path.join(import.meta.dirname, '../../node_modules/.bin/redocly');
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const linting = lint(cli, ['lint', file, '--extends=recommended', '--format=json'], { env, cwd: folder });
  const { stdout } = await linting.catch((error: { stdout: string }) => error);
  await rm(folder, { recursive: true });
  return (JSON.parse(stdout) as { problems: unknown[] }).problems;
}

t.test('/openapi.json', async (t) => {
  const server = await testServer(t, { routes, errors });
  const { status, body: document } = await server.request('GET', '/openapi.json');
  t.equal(status, 200);
  t.match(document, { openapi: /^3\.1\./, info: { title: String, version: String } });
  const at = (method: string, url: string) => document.paths[url][method];

  await t.test('has nothing that the linter objects to', async (t) => {
    t.same(await problemsOf(document), []);
  });

  await t.test('and the linter would object', async (t) => {
    const { summary: _, ...silent } = at('get', '/api/v1/orders');
    const broken = { ...document, paths: { ...document.paths, '/api/v1/orders': { get: silent } } };
    t.match(await problemsOf(broken), [{ ruleId: 'operation-summary' }]);
  });

  await t.test('lists each route once, with an id, a tag and who may call it', async (t) => {
    t.same(Object.keys(document.paths).filter((url) => url.startsWith('/api')).sort(), [
      '/api/v1/orders',
      '/api/v1/orders/mine',
      '/api/v1/orders/{id}',
      '/api/v1/orders/{id}/cancel',
    ]);
    t.match(at('post', '/api/v1/orders/{id}/cancel'), { operationId: 'postOrdersIdCancel', tags: ['shop'], security: [{ bearer: [] }] });
    t.match(at('get', '/api/v1/orders/mine'), { operationId: 'getMine' });
    t.same(at('get', '/api/v1/orders/{id}').security, [{}, { bearer: [] }]);
    t.same(at('get', '/health').security, []);
    t.same(document.tags.map(({ name }: { name: string }) => name), ['shop', 'platform']);
  });

  await t.test('names the problems that a route may answer with', async (t) => {
    const statuses = (method: string, url: string) => Object.keys(at(method, url).responses).sort();
    t.same(statuses('get', '/api/v1/orders'), ['200', '400', '401', '429', '503', 'default'], 'all roles may: no 403');
    t.same(statuses('get', '/api/v1/orders/{id}'), ['200', '304', '400', '401', '404', '429', '503', 'default']);
    t.same(statuses('post', '/api/v1/orders'), ['201', '400', '401', '403', '409', '413', '415', '422', '429', '503', 'default']);
    t.same(statuses('post', '/api/v1/orders/{id}/cancel'), ['200', '400', '401', '403', '413', '415', '429', '503', 'default'], 'a body may be sent');
    t.same(statuses('get', '/health'), ['200', '400', 'default']);
    const refusal = at('get', '/api/v1/orders/{id}').responses['404'].$ref.split('/').at(-1);
    t.match(document.components.responses[refusal], {
      description: '`ORDER_NOT_FOUND`: No such order',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    });
  });

  await t.test('shows what may be null, and examples', async (t) => {
    const { properties } = at('get', '/api/v1/orders/mine').responses['200'].content['application/json'].schema;
    t.same([properties.note.type, properties.refund.type, properties.reason.enum], [
      ['string', 'null'],
      ['object', 'null'],
      ['a', 'b', null],
    ]);
    t.ok(at('post', '/api/v1/orders').requestBody.content['application/json'].example);
  });

  await t.test('agrees with the replies: null stays null', async (t) => {
    t.same((await server.request('GET', `/api/v1/orders/${order.id}`)).body, order);
  });
});

t.test('/docs', async (t) => {
  const server = await testServer(t, { routes, errors });
  const { status, headers, body } = await server.request('GET', '/docs');
  t.equal(status, 200);
  t.match(headers.get('content-type'), 'text/html');
  t.match(headers.get('content-security-policy'), "default-src 'self'");
  t.equal(headers.get('strict-transport-security'), null, 'not over plain HTTP');
  t.ok(headers.get('x-request-id'));

  await t.test('loads its parts from this server only', async (t) => {
    const parts = [...(body as string).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    t.ok(parts.length > 3);
    for (const link of parts) {
      t.match(link, /^\/docs\/|^data:/);
      t.equal((await server.request('GET', link)).status, 200, link);
    }
    t.notMatch(body, /<script>/, 'the content security policy forbids inline scripts');
    t.match((await server.request('GET', '/docs/json')).body, { openapi: '3.1.0' });
    t.equal((await server.request('GET', '/docs/static/missing.js')).body.code, 'ROUTE_NOT_FOUND');
  });
});

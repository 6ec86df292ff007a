/** Routes that break a rule do not start: each is a fixture that must fail, with a message that says what to do. */
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { testServer } from './server.testing.ts';
import type { RouteApp } from './route.ts';

const anyone = { access: 'anyone' } as const;

const broken: Readonly<Record<string, readonly [(app: RouteApp) => unknown, RegExp]>> = {
  'says nothing about its callers': [
    (app) => app.get('/x', async () => ({})),
    /shop: GET \/api\/v1\/x does not say who may call it: set config\.access to/,
  ],
  'lets nobody in': [(app) => app.get('/x', { config: { access: [] } }, async () => ({})), /does not say who may call it/],
  'lets in a role that is none': [
    (app) => app.get('/x', { config: { access: ['root' as 'admin'] } }, async () => ({})),
    /does not say who may call it/,
  ],
  'counts against an unknown bucket': [
    (app) => app.get('/x', { config: { ...anyone, limit: 'sometimes' } }, async () => ({})),
    /config\.limit is sometimes, but the buckets are credentials/,
  ],
  'declares an error that its module does not have': [
    (app) => app.get('/x', { config: { ...anyone, errors: ['SURPRISE'] } }, async () => ({})),
    /names the error SURPRISE in config\.errors, which its module's catalogue lacks/,
  ],
  'names a header as no header arrives': [
    (app) => app.get('/x', { config: anyone, schema: { headers: Type.Object({ 'Idempotency-Key': Type.String() }) } }, async () => ({})),
    /names the header Idempotency-Key: write it in lower case/,
  ],
  'hides from the OpenAPI document': [
    (app) => app.get('/x', { config: anyone, schema: { hide: true } as object }, async () => ({})),
    /shop: GET \/api\/v1\/x hides itself from the OpenAPI document: remove schema\.hide;/,
  ],
  'hides by a tag': [
    (app) => app.get('/x', { config: anyone, schema: { tags: ['X-HIDDEN'] } as object }, async () => ({})),
    /remove the tag X-HIDDEN;/,
  ],
  'has a schema with an unknown keyword': [
    (app) => app.post('/x', { config: anyone, schema: { body: Type.Object({ a: Type.String({ minimumLength: 3 }) }) } }, async () => ({})),
    /minimumLength/,
  ],
  'has a schema with an unknown format': [
    (app) => app.post(
      '/x',
      { config: anyone, schema: { body: Type.Object({ a: Type.String({ format: 'nonsense' }) }) } },
      async () => ({}),
    ),
    /nonsense/,
  ],
  'is there twice': [
    (app) => {
      app.get('/x', { config: anyone }, async () => ({}));
      app.get('/x', { config: anyone }, async () => ({}));
    },
    /already declared/,
  ],
};

for (const [what, [register, message]] of Object.entries(broken)) {
  t.test(`a route is refused that ${what}`, async (t) => {
    await t.rejects(testServer(t, { routes: async (app) => void register(app) }), { message });
  });
}

t.test('routes of a module', async (t) => {
  const modules = ['one', 'two'].map((name) => ({
    name,
    summary: name,
    errors: {},
    health: () => 'healthy' as const,
    routes: async (app: RouteApp) => {
      app.addHook('preHandler', async (request) => {
        request.headers['x-seen-by'] = name;
      });
      app.get(`/${name}`, { config: anyone }, async (request) => ({ seenBy: request.headers['x-seen-by'] ?? 'nobody' }));
    },
    rootRoutes: async (app: RouteApp) => {
      app.get(`/.well-known/${name}`, { config: anyone }, async (request) => ({ seenBy: request.headers['x-seen-by'] ?? 'nobody' }));
    },
  }));
  const server = await testServer(t, { modules });

  await t.test('live in a context of their own', async (t) => {
    t.same((await server.request('GET', '/api/v1/one')).body, { seenBy: 'one' });
    t.same((await server.request('GET', '/api/v1/two')).body, { seenBy: 'two' });
  });

  await t.test('may stand at the root where a standard says so', async (t) => {
    t.same((await server.request('GET', '/.well-known/one')).body, { seenBy: 'nobody' });
    t.equal((await server.request('GET', '/api/v1/.well-known/one')).status, 404);
  });
});

/** Nothing is asked of the caller's goodness (invariant I8): what does not fit is refused before a handler sees it. */
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { PageQuery, strict, Uuid } from '../contract/schemas.ts';
import { uuidv7 } from '../uuid.ts';
import { isProblem, testServer, type TestReply } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';

const Item = Type.Object({ name: Type.String({ maxLength: 20 }), quantity: Type.Integer({ minimum: 1 }) });
const order = { body: strict({ items: Type.Array(Item, { minItems: 1 }), note: Type.Optional(Type.String()) }) };
const list = { querystring: Type.Object({ ...PageQuery, q: Type.Optional(Type.String()), all: Type.Optional(Type.Boolean()) }) };
const one = { params: strict({ id: Uuid }) };
const keyed = { headers: Type.Object({ 'idempotency-key': Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{1,255}$' })) }) };

const routes: RoutesPlugin = async (app) => {
  const config = { access: 'anyone' } as const;
  app.post('/orders', { config, schema: order }, async (request) => ({ got: request.body }));
  app.get('/orders', { config, schema: list }, async (request) => ({ got: request.query }));
  app.get('/orders/:id', { config, schema: one }, async (request) => ({ got: request.params.id }));
  app.post('/orders/:id/cancel', { config, schema: one }, async () => ({ ok: true }));
  app.delete('/orders/:id', { config, schema: one }, async (_request, reply) => reply.code(204).send());
  app.get('/keyed', { config, schema: keyed }, async () => ({ ok: true }));
};

const paths = (reply: TestReply): string[] => reply.body.errors.map(({ path }: { path: string }) => path);

t.test('input', async (t) => {
  const server = await testServer(t, { routes });
  const id = uuidv7();
  const item = { name: 'tea', quantity: 2 };
  const post = async (body: unknown) => server.request('POST', '/api/v1/orders', { body });

  await t.test('unknown fields are refused at every level, not dropped', async (t) => {
    const reply = await post({ items: [{ ...item, price: 1 }], admin: true });
    isProblem(t, reply, 400, 'VALIDATION_FAILED');
    t.same(paths(reply).sort(), ['/admin', '/items/0/price']);
  });

  await t.test('all mistakes are named, with what was expected', async (t) => {
    const reply = await post({ items: [{ name: 'x'.repeat(21), quantity: 0 }, { quantity: 1 }], note: 7 });
    t.same(paths(reply).sort(), ['/items/0/name', '/items/0/quantity', '/items/1/name', '/note']);
    const missing = reply.body.errors.find(({ path }: { path: string }) => path === '/items/1/name');
    t.equal(missing.message, 'is missing');
  });

  await t.test('a body full of mistakes is answered with the first twenty', async (t) => {
    const reply = await post(`{"items":[${'1,'.repeat(50_000)}1]}`);
    isProblem(t, reply, 400, 'VALIDATION_FAILED');
    t.equal(reply.body.errors.length, 20);
  });

  await t.test('types in bodies are not converted', async (t) => {
    for (const quantity of ['2', 2.5, true, null, [2], {}]) {
      const reply = await post({ items: [{ name: 'tea', quantity }] });
      isProblem(t, reply, 400, 'VALIDATION_FAILED');
      t.same(paths(reply), ['/items/0/quantity']);
    }
    t.equal((await post('{"items":[{"name":"tea","quantity":1e3}]}')).status, 200);
  });

  await t.test('query parameters are converted and completed', async (t) => {
    t.same((await server.request('GET', '/api/v1/orders?all=true&q=5')).body.got, { limit: 20, all: true, q: '5' });
  });

  const badQueries = [
    'limit=0',
    'limit=101',
    'limit=ten',
    'limit=',
    'limit=1e9',
  'limit=Infinity',
  'limit=-Infinity',
  'limit=NaN',
    'limit=5&limit=6',
    'all=maybe',
    'unknown=1',
    '__proto__=1',
    'constructor=1',
  ];
  for (const query of badQueries) {
    await t.test(`the query ${query} is refused`, async (t) => {
      isProblem(t, await server.request('GET', `/api/v1/orders?${query}`), 400, 'VALIDATION_FAILED');
    });
  }

  await t.test('a route that names no query takes none', async (t) => {
    isProblem(t, await server.request('GET', `/api/v1/orders/${id}?x=1`), 400, 'VALIDATION_FAILED');
  });

  await t.test('probes may say what they like', async (t) => {
    for (const path of ['/health?nocache=1', '/ready?a[]=b&a[]=c']) t.equal((await server.request('GET', path)).status, 200);
  });

  await t.test('path parameters are checked', async (t) => {
    const reply = await server.request('GET', '/api/v1/orders/42');
    isProblem(t, reply, 400, 'VALIDATION_FAILED');
    t.same(reply.body.errors, [{ path: '/id', message: 'must be of the form: UUIDv7' }]);
    isProblem(t, await server.request('GET', `/api/v1/orders/${'a'.repeat(101)}`), 400, 'VALIDATION_FAILED');
  });

  await t.test('headers are checked', async (t) => {
    const get = async (key: string) => server.request('GET', '/api/v1/keyed', { headers: { 'idempotency-key': key } });
    const refused = await get('a b');
    isProblem(t, refused, 400, 'VALIDATION_FAILED');
    t.equal(refused.body.detail, 'the headers do not fit: see errors');
    isProblem(t, await get('k'.repeat(256)), 400, 'VALIDATION_FAILED');
    t.equal((await get('k'.repeat(255))).status, 200);
  });

  for (const path of ['orders/%zz', 'orders/%00', 'orders?q=%zz', 'orders?q=%ED%A0%80', 'orders?q=a%00b', '%']) {
    await t.test(`the URL ${path} is refused`, async (t) => {
      const reply = await server.request('GET', `/api/v1/${path}`);
      isProblem(t, reply, 400, 'VALIDATION_FAILED');
      t.same(paths(reply), ['']);
    });
  }

  await t.test('other percent signs are taken as they are meant', async (t) => {
    t.equal((await server.request('GET', '/api/v1/orders?q=%2500%C3%A4')).body.got.q, '%00ä');
  });

  const noJson = ['{', '{"items": [}', "{'items': 1}", 'null x', '[1,]', '{"a":1}{"b":2}', '['.repeat(90_000), '{"a":"\t"}', '\u0000'];
  const poison = [
    '{"__proto__":{"a":1}}',
    '{"items":[{"__proto__":{}}]}',
    '{"constructor":{"prototype":{"a":1}}}',
    '{"\\u005f_proto__":{}}',
  ];
  for (const body of [...noJson, ...poison]) {
    await t.test(`the body ${JSON.stringify(body).slice(0, 60)} is refused`, async (t) => {
      const reply = await post(body);
      isProblem(t, reply, 400, 'MALFORMED_BODY');
      t.same(paths(reply), [''], 'the whole of it is wrong');
    });
  }

  await t.test('JSON that is no object is refused', async (t) => {
    for (const body of ['null', '1', '"text"', '[]', 'true']) isProblem(t, await post(body), 400, 'VALIDATION_FAILED');
  });

  await t.test('text that cannot be stored is refused, other text is taken as it is', async (t) => {
    for (const text of ['a\\u0000b', '\\ud800', '\\udc00x', 'x\\ud83d']) {
      isProblem(t, await post(`{"items":[{"name":"${text}","quantity":1}]}`), 400, 'MALFORMED_BODY');
      isProblem(t, await post(`{"items":[{"${text}":"x"}]}`), 400, 'MALFORMED_BODY');
    }
    const fine = await post('{"items":[{"name":"\\ud83d\\ude00 \\u00e4 \\\\u0000","quantity":1}]}');
    t.equal(fine.body.got.items[0].name, '😀 ä \\u0000');
  });

  await t.test('a field that is there twice is refused, wherever it is', async (t) => {
    const twice = ['{"items":[],"items":[{"name":"tea","quantity":1}]}', '{"items":[{"name":"tea","quantity":1,"quant\\u0069ty":900}]}'];
    for (const body of twice) {
      const reply = await post(body);
      isProblem(t, reply, 400, 'MALFORMED_BODY');
      t.equal(reply.body.detail, 'an object has a field twice: send each once');
    }
  });

  await t.test('bodies that are not UTF-8 are refused', async (t) => {
    const body = Buffer.concat([Buffer.from('{"items":[{"name":"'), Buffer.from([0xc3, 0x28]), Buffer.from('","quantity":1}]}')]);
    const response = await fetch(`${server.url}/api/v1/orders`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    t.equal(response.status, 400);
    t.match(await response.json(), { code: 'MALFORMED_BODY', detail: 'the body is not UTF-8' });
  });

  await t.test('a body is needed where one is validated', async (t) => {
    isProblem(t, await server.request('POST', '/api/v1/orders'), 400, 'VALIDATION_FAILED');
    isProblem(t, await post(''), 400, 'VALIDATION_FAILED');
  });

  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json5',
    'application/xml',
    'nonsense',
  ];
  for (const type of types) {
    await t.test(`a body of type ${type} is refused`, async (t) => {
      const reply = await server.request('POST', '/api/v1/orders', { headers: { 'content-type': type }, body: '{}' });
      isProblem(t, reply, 415, 'UNSUPPORTED_MEDIA_TYPE');
    });
  }

  await t.test('a charset may be named', async (t) => {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    t.equal((await server.request('POST', '/api/v1/orders', { headers, body: { items: [item] } })).status, 200);
  });

  await t.test('a route without a body takes none, or an empty one', async (t) => {
    const path = `/api/v1/orders/${id}/cancel`;
    for (const init of [{}, { body: {} }, { body: '' }]) t.equal((await server.request('POST', path, init)).status, 200);
    for (const body of [{ reason: 'x' }, [], 'null', '3']) {
      isProblem(t, await server.request('POST', path, { body }), 400, 'VALIDATION_FAILED');
    }
    t.equal((await server.request('DELETE', `/api/v1/orders/${id}`)).status, 204);
  });

  await t.test('bodies are taken up to 100 KiB', async (t) => {
    const sized = (bytes: number): string => `{"items":[{"name":"a","quantity":1}],"note":"${'x'.repeat(bytes - 47)}"}`;
    t.equal(Buffer.byteLength(sized(102_400)), 102_400);
    t.equal((await post(sized(102_400))).status, 200);
    isProblem(t, await post(sized(102_401)), 413, 'BODY_TOO_LARGE');
  });
});

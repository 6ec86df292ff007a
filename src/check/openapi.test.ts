/** The OpenAPI document of the running shop, by the rules that Redocly recommends. */
import t from 'tap';
import { testShop } from '#testing';
import { complaintsOfRedocly } from './redocly.testing.ts';

t.test('the document is clean, without as much as a warning', async (t) => {
  const shop = await testShop(t);
  const { status, body } = await shop.request('GET', '/openapi.json');
  t.equal(status, 200);
  t.match(body.openapi, /^3\.1\./);
  t.same(await complaintsOfRedocly(t, body), []);
});

t.test('a document with a mistake is not', async (t) => {
  const document = { openapi: '3.1.0', info: { title: 'Broken', version: '1' }, paths: { '/orders': { get: { responses: {} } } } };
  t.match((await complaintsOfRedocly(t, document)).join(), /operation-4xx-response|security-defined|no-empty-servers/);
});

/** How often services are asked for their documents. */
import t from 'tap';
import { createLog } from '../../src/log/log.ts';
import { staticDiscovery } from '../../src/wire/discovery.ts';
import { nobody, peer } from '../../src/wire/fixtures.testing.ts';
import { Replicas } from '../../src/wire/replicas.ts';
import { forwardedModule } from './forwarded-module.ts';
import { ServiceDocuments } from './service-documents.ts';
import { moduleOf } from './upstream.testing.ts';

t.test('while one service is away the others are not asked again and again', async (t) => {
  const asked: Record<string, number> = { one: 0, late: 0 };
  const answering = async (name: string, from: number) =>
    (await peer(t, (_request, reply) => {
      asked[name]! += 1;
      reply.writeHead(asked[name]! >= from ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify({ paths: { [`/api/v1/${name}`]: { get: { responses: {} } } } }));
    })).origin;
  const replicas = new Replicas(staticDiscovery({ one: [await answering('one', 1)], late: [await answering('late', 3)], gone: [await nobody()] }));
  t.teardown(() => replicas.close());
  const modules = Object.keys({ one: 0, late: 0, gone: 0 }).map((name) => forwardedModule(moduleOf(name, [`/${name}`])));
  const documents = new ServiceDocuments(modules, replicas, createLog('silent'));
  t.teardown(() => documents.stop());
  await documents.start();
  t.equal(documents.parts.length, 1);
  while (documents.parts.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(asked, { one: 1, late: 3 });
  t.ok(documents.routeOf('late', 'GET', '/api/v1/late'));
});

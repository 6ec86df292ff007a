/** Which replica is asked, and which is forgotten. */
import { promisify } from 'node:util';
import t from 'tap';
import type { Discovery } from './discovery.ts';
import { peer } from './fixtures.testing.ts';
import { Replicas } from './replicas.ts';

/** A discovery whose answer can be changed. */
function changing(): Discovery & { origins: string[] } {
  return { origins: [], originsOf(module) { return module === 'till' ? this.origins : []; }, close: async () => undefined };
}

t.test('of two that are drawn the one with fewer requests under way is asked', async (t) => {
  const discovery = changing();
  const replicas = new Replicas(discovery);
  t.teardown(() => replicas.close());
  discovery.origins = ['http://127.0.0.1:1', 'http://127.0.0.1:2', 'http://127.0.0.1:3'];
  replicas.at('http://127.0.0.1:1').underWay = 5;
  const chosen = Array.from({ length: 300 }, () => replicas.choose('till')!.origin);
  t.notOk(chosen.includes('http://127.0.0.1:1'), 'the busiest never is');
  t.equal(new Set(chosen).size, 2);
  replicas.at('http://127.0.0.1:2').suspect();
  t.same(new Set(Array.from({ length: 50 }, () => replicas.choose('till', replicas.at('http://127.0.0.1:1'))!.origin)), new Set(['http://127.0.0.1:3']), 'nor a suspect, while there are others');
  t.equal(replicas.choose('nobody'), undefined);
});

t.test('a replica that is not named any more is forgotten when a new one comes, and its connections are closed', async (t) => {
  const discovery = changing();
  const replicas = new Replicas(discovery);
  t.teardown(() => replicas.close());
  const [old, next] = [await peer(t, (_request, reply) => void reply.end('{}')), await peer(t, (_request, reply) => void reply.end('{}'))];
  const connections = async () => promisify(old.server.getConnections.bind(old.server))();
  discovery.origins = [old.origin];
  const first = replicas.choose('till')!;
  await (await first.pool.request({ method: 'GET', path: '/' })).body.dump();
  t.equal(await connections(), 1);
  discovery.origins = [next.origin];
  t.equal(replicas.choose('till')!.origin, next.origin);
  while ((await connections()) > 0) await new Promise((resolve) => setImmediate(resolve));
  discovery.origins = [old.origin];
  t.not(replicas.choose('till'), first, 'one that comes back is a new one');
});

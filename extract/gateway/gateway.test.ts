/** What stands in front of services behaves as the one process would. */
import t from 'tap';
import { servicesBehindGateway } from './services.testing.ts';

const modules = ['catalog', 'inventory', 'orders', 'payments', 'shipping', 'notifications', 'recommendations', 'support', 'storefront'];
const shop = await servicesBehindGateway(t, { services: [['users'], modules] });

t.test('requests reach the service that has the module', async (t) => {
  const customer = await shop.customer();
  const me = await shop.request('GET', '/api/v1/users/me', { token: customer.token });
  t.match(me, { status: 200, body: { id: customer.id } });
  const product = await shop.product();
  t.match(await shop.request('GET', `/api/v1/products/${product.id}`), { status: 200, body: { id: product.id } });
  t.equal((await shop.request('GET', '/.well-known/jwks.json')).status, 200);
  t.match(await shop.request('GET', '/health'), { status: 200, body: { status: 'healthy' } });
});

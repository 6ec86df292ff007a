/**
 * `/metrics` of a shop, of services and of their gateway as Prometheus's own linter sees them. `promtool` comes with Debian's and Ubuntu's package `prometheus`; where
 * it is missing the test is skipped and says so, and in CI it fails.
 */
import { spawnSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { discoverModules, testShop, type TestShop } from '#testing';
import { servicesBehindGateway } from '../gateway/services.testing.ts';
import { API, shippingAddress } from './world.testing.ts';

interface Verdict {
  readonly status: number | null;
  readonly output: string;
}

/** What promtool says of a page of metrics; undefined without promtool. */
function promtool(metrics: string): Verdict | undefined {
  const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
  if (error) throw error;
  return { status, output: stdout + stderr };
}

const isMissing = promtool('') === undefined;
const inCi = process.env['CI'] === 'true';
const skip = isMissing && !inCi && 'promtool is not installed: the metrics are NOT checked (apt-get install prometheus)';
// Under the file's line in the run: a skipped test alone is a number there.
if (skip) process.stderr.write(`${skip}\n`);

t.test('promtool is there', { skip }, async (t) => {
  t.notOk(isMissing, 'promtool must be on the PATH in CI: apt-get install prometheus');
});

t.test('promtool finds what is named badly', { skip: isMissing && 'see above' }, async (t) => {
  const { status, output } = promtool('# HELP things_total Things.\n# TYPE things_total gauge\nthings_total 1\n# TYPE took_milliseconds counter\ntook_milliseconds 1\n')!;
  t.not(status, 0);
  t.match(output, 'non-counter metrics should not have "_total" suffix');
  t.match(output, 'no help text');
});

/** Sells something, and asks for what is not there. */
async function trade(t: Test, shop: TestShop): Promise<void> {
  const { token } = await shop.customer();
  const product = await shop.product();
  const order = { items: [{ productId: product.id, quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } };
  t.equal((await shop.request('POST', `${API}/orders`, { token, body: order })).status, 201);
  for (const path of ['/nowhere', `${API}/orders`, `${API}/products/none`]) await shop.request('GET', path);
}

/** A page of metrics once it has a series of each kind. */
async function metricsOf(shop: TestShop, url: string, kinds: readonly string[]): Promise<string> {
  return shop.until(async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return kinds.every((kind) => text.includes(kind)) && text;
  }, `every kind of series at ${url}`);
}

const OF_MODULES = ['cleave_outbox_pending{', 'cleave_event_handler_duration_seconds_count{', 'cleave_operation_duration_seconds_count{'];
const OF_REQUESTS = ['status="404"', 'status="401"'];
const OF_PEERS = ['cleave_breaker_state{', 'cleave_bulkhead_calls{', 'cleave_call_retries_total{'];

t.test('the metrics of a shop that has sold something are clean', { skip: isMissing && 'see above' }, async (t) => {
  const shop = await testShop(t);
  await trade(t, shop);
  t.same(promtool(await metricsOf(shop, shop.url, [...OF_MODULES, ...OF_REQUESTS, 'payments_gateway_seconds_count{'])), { status: 0, output: '' });
});

t.test('and so are those of services and of their gateway, with what they say of each other', { skip: isMissing && 'see above' }, async (t) => {
  const rest = (await discoverModules()).map(({ contract }) => contract.name).filter((name) => name !== 'payments');
  const shop = await servicesBehindGateway(t, { services: [rest, ['payments']] });
  await trade(t, shop);
  const pages = [
    { of: 'orders', url: shop.hosting('orders').host.url, kinds: ['cleave_operation_duration_seconds_count{', ...OF_PEERS] },
    { of: 'payments', url: shop.hosting('payments').host.url, kinds: ['payments_gateway_seconds_count{'] },
    { of: 'the gateway', url: shop.gateway.url, kinds: [...OF_REQUESTS, ...OF_PEERS] },
  ];
  for (const { of, url, kinds } of pages) t.same(promtool(await metricsOf(shop, url, kinds)), { status: 0, output: '' }, of);
});

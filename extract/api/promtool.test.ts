/**
 * `/metrics` as Prometheus's own linter sees it. `promtool` comes with Debian's and Ubuntu's package `prometheus`; where
 * it is missing the test is skipped and says so, and in CI it fails.
 */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { testShop } from '#testing';

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

t.test('the metrics of a shop that has sold something are clean', { skip: isMissing && 'see above' }, async (t) => {
  const shop = await testShop(t);
  const { token } = await shop.customer();
  const product = await shop.product();
  const shippingAddress = { name: 'Ada', line1: '1 Analytical Way', city: 'London', postalCode: 'N1 9GU', country: 'GB' };
  const order = { items: [{ productId: product.id, quantity: 1 }], shippingAddress, payment: { method: 'card', cardToken: 'tok_visa' } };
  t.equal((await shop.request('POST', '/api/v1/orders', { token, body: order })).status, 201);
  for (const path of ['/nowhere', '/api/v1/orders', '/api/v1/products/none']) await shop.request('GET', path);
  const metrics = await shop.until(async () => {
    const text = String((await shop.request('GET', '/metrics')).body);
    const shown = ['cleave_outbox_pending{', 'payments_gateway_seconds_count{', 'cleave_event_handler_duration_seconds_count{', 'cleave_operation_duration_seconds_count{', 'status="404"', 'status="401"'];
    return shown.every((part) => text.includes(part)) && text;
  }, 'every kind of series');
  t.same(promtool(metrics), { status: 0, output: '' });
});

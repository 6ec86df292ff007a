/** Series are right, cheap, and named as Prometheus wants them. */
import t from 'tap';
import { createMetrics } from './metrics.ts';

async function linesOf(metrics: ReturnType<typeof createMetrics>, start: string): Promise<string[]> {
  return (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(start));
}

t.test('a route is counted by status, and timed', async (t) => {
  const metrics = createMetrics();
  const route = metrics.route({ module: 'shop', method: 'GET', route: '/orders/:id' });
  for (const [seconds, status] of [[0.0005, 200], [0.003, 200], [20, 200], [0.003, 404]] as const) route.observe(seconds, status);
  const labels = 'module="shop",method="GET",route="/orders/:id"';
  t.same(await linesOf(metrics, 'http_requests_total{'), [
    `http_requests_total{${labels},status="200"} 3`,
    `http_requests_total{${labels},status="404"} 1`,
  ]);
  const buckets = await linesOf(metrics, `http_request_duration_seconds_bucket{${labels},status="200"`);
  t.same(
    buckets.map((line) => Number(line.split(' ').at(-1))),
    [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3],
    'buckets add up, the last one holds all',
  );
  t.match(buckets[0], 'le="0.001"');
  t.match(buckets.at(-1), 'le="+Inf"');
  t.match(await linesOf(metrics, `http_request_duration_seconds_sum{${labels},status="200"`), [/ 20\.0035$/]);
  t.match(await linesOf(metrics, `http_request_duration_seconds_count{${labels},status="200"`), [/ 3$/]);
});

t.test('a value on a bound belongs to that bucket', async (t) => {
  const metrics = createMetrics();
  metrics.route({ module: 'm', method: 'GET', route: '/' }).observe(0.001, 200);
  t.match(await linesOf(metrics, 'http_request_duration_seconds_bucket'), [/le="0.001"\} 1$/]);
});

t.test('operations and handlers are told apart by how they ended', async (t) => {
  const metrics = createMetrics();
  const operation = metrics.operation('catalog', 'getProducts', 'orders');
  operation.observe(0.00002, 'ok');
  operation.observe(0.5, 'DEADLINE_EXCEEDED');
  metrics.operation('catalog', 'getProducts', 'orders').observe(0.00002, 'ok');
  const labels = 'module="catalog",operation="getProducts",caller="orders"';
  t.same(await linesOf(metrics, 'cleave_operation_duration_seconds_count'), [
    `cleave_operation_duration_seconds_count{${labels},outcome="ok"} 2`,
    `cleave_operation_duration_seconds_count{${labels},outcome="DEADLINE_EXCEEDED"} 1`,
  ]);
  metrics.handler('notifications.customers', 'orders.order-placed.v1').observe(0.01, 'ok');
  t.match(
    await linesOf(metrics, 'cleave_event_handler_duration_seconds_count'),
    [/subscriber="notifications.customers",event="orders.order-placed.v1",outcome="ok"\} 1/],
  );
});

t.test('outboxes and pools show their present state', async (t) => {
  const metrics = createMetrics();
  metrics.outbox('orders', { pending: 7, oldestSeconds: 1.5 });
  metrics.outbox('orders', { pending: 0, oldestSeconds: 0 });
  metrics.outbox('payments', { pending: 1, oldestSeconds: 0.25 });
  t.same(await linesOf(metrics, 'cleave_outbox_pending{'), [
    'cleave_outbox_pending{module="orders"} 0',
    'cleave_outbox_pending{module="payments"} 1',
  ]);
  t.same(await linesOf(metrics, 'cleave_outbox_oldest_seconds{'), [
    'cleave_outbox_oldest_seconds{module="orders"} 0',
    'cleave_outbox_oldest_seconds{module="payments"} 0.25',
  ]);
  let idle = 2;
  metrics.pool('orders', () => ({ total: 5, idle, waiting: 4 }));
  t.same(await linesOf(metrics, 'cleave_pool_connections{'), [
    'cleave_pool_connections{pool="orders",state="busy"} 3',
    'cleave_pool_connections{pool="orders",state="idle"} 2',
  ]);
  idle = 5;
  t.match(await linesOf(metrics, 'cleave_pool_connections{'), [/busy"\} 0$/, /idle"\} 5$/]);
  t.same(await linesOf(metrics, 'cleave_pool_waiting{'), ['cleave_pool_waiting{pool="orders"} 4']);
});

t.test('the event loop and the process are watched', async (t) => {
  const text = await createMetrics().registry.metrics();
  const wanted = [
    'nodejs_eventloop_lag_seconds',
    'nodejs_eventloop_lag_p99_seconds',
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
  ];
  for (const name of wanted) t.match(text, `\n${name} `);
});

t.test('registries are apart: two shops in one process', async (t) => {
  const [one, two] = [createMetrics(), createMetrics()];
  one.route({ module: 'm', method: 'GET', route: '/' }).observe(1, 200);
  t.same(await linesOf(two, 'http_requests_total{'), []);
  one.registry.resetMetrics();
  t.match(await linesOf(one, 'http_requests_total{'), [/ 0$/]);
});

/** The rules of `promtool check metrics`, as far as they concern what we name. */
t.test('names and help are as Prometheus wants them', async (t) => {
  const metrics = createMetrics();
  metrics.operation('m', 'o', 'c').observe(1, 'ok');
  const families = (await linesOf(metrics, '# TYPE ')).map((line) => line.split(' ').slice(2) as [string, string]);
  const helps = new Map((await linesOf(metrics, '# HELP ')).map((line) => [line.split(' ')[2], line.split(' ').slice(3).join(' ')]));
  t.ok(families.length > 20);
  for (const [name, type] of families) {
    t.match(name, /^[a-z_][a-z0-9_]*$/);
    t.equal(name.endsWith('_total'), type === 'counter', `${name} ends in _total if and only if it is a counter`);
    t.notMatch(
      name,
      /_(milliseconds|ms|minutes|kilobytes|megabytes|percent|counter|gauge|histogram)(_|$)/,
      'base units, and no type in the name',
    );
    t.ok(helps.get(name), `${name} is explained`);
    if (type === 'histogram') t.match(name, /_(seconds|bytes)$/);
  }
});

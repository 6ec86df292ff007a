/** What reaches the collector, and what happens when it does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { Call } from '../calls/call.ts';
import { createLog } from '../log/log.ts';
import { type KernelSettings, kernelSettings } from '../settings/kernel-settings.ts';
import { readSettings } from '../settings/read-settings.ts';
import { startCollector } from './collector.testing.ts';
import { pairsOf } from './otlp.ts';
import { startTracing } from './start.ts';
import type { Tracing } from './tracing.ts';

function logging() {
  const lines: Record<string, unknown>[] = [];
  return { lines, log: createLog('info', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }) };
}

function settingsOf(env: Record<string, string>): KernelSettings {
  return readSettings(kernelSettings, env).value as KernelSettings;
}

function spans(tracing: Tracing, count: number): void {
  for (let made = 0; made < count; made += 1) tracing.begin(Call.root('test', 1_000), { name: `span ${made}`, kind: 'internal', attributes: {} })!.end();
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !condition(); await sleep(5)) if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
}

t.test('nothing is traced unless an endpoint is named', async (t) => {
  const { log } = logging();
  t.equal(await startTracing(settingsOf({}), log), undefined);
  t.equal(await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:1', OTEL_SDK_DISABLED: 'true' }), log), undefined);
});

t.test('spans reach the collector, with what the settings say', async (t) => {
  const collector = await startCollector();
  t.teardown(async () => collector.close());
  const { log, lines } = logging();
  const settings = settingsOf({
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20s3cret, x-tenant=a%2Cb=c',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.name=other',
    OTEL_SERVICE_NAME: 'shop',
    OTEL_BSP_SCHEDULE_DELAY: '20',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '2',
  });
  const { tracing, stop } = (await startTracing(settings, log))!;
  spans(tracing, 3);
  await until(() => collector.batches.flatMap(({ names }) => names).length === 3, 'three spans');
  t.same(collector.batches.flatMap(({ names }) => names), ['span 0', 'span 1', 'span 2']);
  t.same(collector.batches.map(({ names }) => names.length), [2, 1]);
  t.match(collector.batches[0], {
    path: '/v1/traces',
    headers: { 'content-type': 'application/json', authorization: 'Bearer s3cret', 'x-tenant': 'a,b=c' },
    resource: { 'service.name': 'shop', 'deployment.environment.name': 'staging', 'service.instance.id': /^[0-9a-f-]{36}$/, 'telemetry.sdk.language': 'nodejs' },
  });
  await stop(1_000);
  t.same(lines, []);
});

t.test('what is left is sent at the end, to the address for traces alone where there is one', async (t) => {
  const collector = await startCollector();
  t.teardown(async () => collector.close());
  const { tracing, stop } = (await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:1', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${collector.url}/elsewhere` }), logging().log))!;
  spans(tracing, 1);
  await stop(5_000);
  t.match(collector.batches, [{ path: '/elsewhere', names: ['span 0'] }]);
});

t.test('a collector that is away is one warning, however many batches are lost, and one line when it is back', async (t) => {
  const collector = await startCollector('hang up');
  t.teardown(async () => collector.close());
  const { lines, log } = logging();
  const settings = settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_TIMEOUT: '500', OTEL_BSP_SCHEDULE_DELAY: '5', OTEL_EXPORTER_OTLP_HEADERS: 'authorization=s3cret' });
  const { tracing, stop } = (await startTracing(settings, log))!;
  for (let batch = 1; batch <= 5; batch += 1) {
    spans(tracing, 2);
    await until(() => collector.asked >= batch, `batch ${batch} to be tried`);
  }
  await until(() => lines.length > 0, 'the warning');
  t.match(lines, [{ level: 'warn', code: 'ECONNRESET' }]);

  collector.behave('answer');
  await until(() => {
    spans(tracing, 1);
    return collector.batches.length >= 2;
  }, 'batches to get through');
  await stop(1_000);
  t.equal(lines.length, 2);
  t.match(lines, [{ level: 'warn' }, { level: 'info', lost: Number }]);
  t.ok((lines[1]!['lost'] as number) >= 8, 'it says how much was lost');
  t.notMatch(JSON.stringify(lines), 's3cret');
});

t.test('a collector that refuses is warned of once, without what it answers', async (t) => {
  const collector = await startCollector('refuse');
  t.teardown(async () => collector.close());
  const { lines, log } = logging();
  const { tracing, stop } = (await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '5' }), log))!;
  for (let batch = 1; batch <= 3; batch += 1) {
    spans(tracing, 1);
    await until(() => collector.asked >= batch, `batch ${batch} to be tried`);
  }
  await stop(1_000);
  t.equal(lines.length, 1);
  t.match(lines, [{ level: 'warn', code: 401 }]);
  t.notMatch(JSON.stringify(lines), 's3cret');
});

t.test('a collector that does not answer holds up neither the work nor the end, and fills no memory', async (t) => {
  const collector = await startCollector('be silent');
  t.teardown(async () => collector.close());
  const { log } = logging();
  const { tracing, stop } = (await startTracing(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_TIMEOUT: '2000', OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '50' }), log))!;
  spans(tracing, 5_000);
  const started = performance.now();
  await stop(200);
  const took = performance.now() - started;
  t.ok(took >= 190 && took < 1_500, `stopping took ${took.toFixed()} of 200 ms`);
  t.ok(collector.batches.flatMap(({ names }) => names).length <= 200, 'what did not fit into the queue was dropped');
});

t.test('pairs of headers and attributes', async (t) => {
  t.same(pairsOf(undefined), {});
  t.same(pairsOf(' a=1 , b=2=3,c=%20x%2C,d=100%'), { a: '1', b: '2=3', c: ' x,', d: '100%' });
});

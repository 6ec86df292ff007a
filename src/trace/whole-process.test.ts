/** The shop as it is started: nothing of OpenTelemetry where nothing is traced; all spans sent before it ends, as far as there is time. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { projectRoot } from '../host/discover.ts';
import { cloneDatabase, TEST_ROLE_PREFIX } from '../testing/testing.ts';
import { testEnvironment } from '../testing/environment.ts';
import { type Collector, startCollector } from './collector.testing.ts';

t.setTimeout(120_000);

const database = await cloneDatabase();
t.teardown(async () => database.drop());

/**
 * Prints at the end how many of OpenTelemetry's files were loaded. They are CommonJS, which Node keeps a list of. Its API
 * is left out: prom-client loads that, whatever we do.
 */
const COUNT = `data:text/javascript,${encodeURIComponent(`
  import { createRequire } from 'node:module';
  const { cache } = createRequire('${projectRoot}/package.json');
  process.on('exit', () => process.stdout.write('LOADED ' + Object.keys(cache).filter((file) => file.includes('@opentelemetry') && !file.includes('@opentelemetry/api/')).length + '\\n'));
`)}`;

interface Life {
  readonly code: number | null;
  readonly output: string;
  readonly loaded: number;
  /** Milliseconds from the signal to the end. */
  readonly stoppingMs: number;
}

/** Starts a shop, lets it answer one request, and stops it. */
async function live(settings: Record<string, string>): Promise<Life> {
  const env = { PATH: process.env['PATH'], ...testEnvironment, DATABASE_URL: database.adminUrl, DATABASE_ROLE_PREFIX: TEST_ROLE_PREFIX, LOG_LEVEL: 'warn', ...settings };
  const child = spawn(process.execPath, ['--import', COUNT, join(projectRoot, 'src', 'main.ts')], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  t.teardown(() => child.kill('SIGKILL'));
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        const found = /Shop +(http\S+)/.exec(output)?.[1];
        if (found) resolve(found);
      });
    }
    ended.then(() => reject(new Error(`the shop ended: ${output}`)), reject);
  });
  t.equal((await fetch(`${url}/api/v1/products?limit=1`)).status, 200);
  const signalled = performance.now();
  child.kill('SIGTERM');
  const [code] = await ended;
  return { code, output, loaded: Number(/LOADED (\d+)/.exec(output)![1]), stoppingMs: performance.now() - signalled };
}

async function collector(...how: Parameters<typeof startCollector>): Promise<Collector> {
  const started = await startCollector(...how);
  t.teardown(async () => started.close());
  return started;
}

t.test('where nothing is traced nothing of OpenTelemetry is loaded', async (t) => {
  t.match(await live({}), { code: 0, loaded: 0 });
});

t.test('spans that wait for their time are sent when the shop stops', async (t) => {
  const { url, batches } = await collector();
  const { code, loaded, output } = await live({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '600000' });
  t.equal(code, 0);
  t.ok(loaded > 20);
  t.ok(batches.some(({ names }) => names.includes('GET /api/v1/products')));
  t.notMatch(output, '"level":"warn"');
});

t.test('a collector that does not answer gets what is left of the time, and no more', async (t) => {
  const { url, asked } = await collector('be silent');
  const { code, stoppingMs } = await live({ OTEL_EXPORTER_OTLP_ENDPOINT: url, SHUTDOWN_TIMEOUT_MS: '1500' });
  t.equal(code, 0);
  t.ok(stoppingMs > 1_000 && stoppingMs < 9_000, `it took ${stoppingMs.toFixed()} ms, of the 10 s that the exporter would go on`);
  t.equal(asked, 0, 'not asked before the end');
});

t.test('a collector that is away is one line in the log', async (t) => {
  const { url } = await collector('hang up');
  const { code, output } = await live({ OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '1', OTEL_EXPORTER_OTLP_TIMEOUT: '20' });
  t.equal(code, 0);
  t.equal(output.split('the collector does not take traces').length - 1, 1);
});

t.test('settings that cannot be kept are named', async (t) => {
  const env = { PATH: process.env['PATH'], ...testEnvironment, OTEL_EXPORTER_OTLP_ENDPOINT: 'localhost:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_HEADERS: 'hunter2', OTEL_TRACES_SAMPLER_ARG: '2' };
  const child = spawn(process.execPath, [join(projectRoot, 'src', 'main.ts')], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const [code] = (await once(child, 'exit')) as [number];
  t.equal(code, 2);
  t.same(errors.trim().split('\n'), [
    'OTEL_EXPORTER_OTLP_ENDPOINT is "localhost:4318": it must be a URL that begins with http:// or https://, for example OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318.',
    'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": it must be one of http/json, for example OTEL_EXPORTER_OTLP_PROTOCOL=http/json.',
    'OTEL_EXPORTER_OTLP_HEADERS has a value (not shown) that does not fit: it must be pairs such as name=value with commas between, values percent-encoded.',
    'OTEL_TRACES_SAMPLER_ARG is "2": it must be a number from 0 to 1, for example OTEL_TRACES_SAMPLER_ARG=1.',
  ]);
});

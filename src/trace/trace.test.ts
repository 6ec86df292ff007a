/** Spans of the kernel's parts, with two modules that have nothing to do with a shop: what belongs together, what failed, what is not recorded. */
import { join } from 'node:path';
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { Call } from '../calls/call.ts';
import type { EventEnvelope } from '../contract/types.ts';
import { defineContract, defineModule, event, on, strict, Uuid } from '../kernel.ts';
import type { AnyModule } from '../module.ts';
import { type Hit, ping, pingPong } from '../testing/fixtures/ping-pong.ts';
import { type RecordedSpan, recordSpans, testShop } from '../testing/testing.ts';
import { uuidv7 } from '../uuid.ts';

const echo = defineContract({
  name: 'pong',
  version: 1,
  summary: 'Looks, records and says so.',
  errors: {},
  operations: {},
  events: { echoed: event({ version: 1, summary: 'Heard.', aggregate: 'id', data: strict({ id: Uuid }) }) },
});

let behaviour: (hit: Hit) => void = () => undefined;

function echoModule(): AnyModule {
  const definition = defineModule({
    contract: echo,
    dependencies: { ping },
    consumes: { ping },
    subscribes: { echo: [ping.events.hit] },
    settings: Type.Object({}),
    entities: [],
    setup({ clients }) {
      const hits = on(ping.events.hit, {
        load: async (hit, call) => clients.ping.read({ id: hit.data.id }, call),
        async apply(hit, tx) {
          behaviour(hit);
          await tx.sql('insert into seen (subscriber, event_id, aggregate_id, n) values ($1, $2, $3, $4)', ['echo', hit.id, hit.data.id, hit.data.n]);
          tx.publish(echo.events.echoed, { id: hit.data.id });
        },
      });
      return { operations: {}, subscribers: [{ name: 'echo', handlers: [hits] }] };
    },
  });
  return definition as unknown as AnyModule;
}

const recorder = await recordSpans(t);
const shop = await testShop(t, {
  modules: [pingPong()[0]!, echoModule()],
  migrations: join(import.meta.dirname, '..', 'testing', 'fixtures', 'migrations'),
  settings: { EVENT_RETRY_BASE_MS: '5', EVENT_RETRY_MAX_MS: '10' },
  tracing: recorder.tracing,
});
const { db } = shop.module('ping');

/** A call that somebody else's span made. */
function callIn(traceId: string, flags = '01'): Call {
  return Call.root('test', 10_000, { traceparent: `00-${traceId}-00f067aa0ba902b7-${flags}` });
}

function trace(digit: string): string {
  return digit.repeat(32);
}

function spansOf(traceId: string): RecordedSpan[] {
  return recorder.spans().filter((span) => span.traceId === traceId);
}

async function ended(traceId: string, name: string): Promise<RecordedSpan> {
  return shop.until(() => spansOf(traceId).find((span) => span.name === name), `${name} to end`);
}

t.afterEach(() => {
  behaviour = () => undefined;
});

t.test('a call that no request caused begins a trace of its own, under the id that the log knows it by', async (t) => {
  const call = shop.call();
  await shop.client(ping).hit({ id: uuidv7() }, call);
  const span = await ended(call.traceId, 'ping.hit');
  t.equal(span.parentId, undefined);
  const handled = await ended(call.traceId, 'process ping.hit.v1');
  t.equal((await ended(call.traceId, 'deliver ping.hit.v1')).id, handled.parentId);
  t.equal((await ended(call.traceId, 'publish ping.hit.v1')).parentId, span.id);
  t.equal((await ended(call.traceId, 'ping.read')).parentId, handled.id);
  t.equal((await ended(call.traceId, 'publish pong.echoed.v1')).parentId, handled.id);
});

t.test('statements by themselves begin no trace: a look that finds nothing to do is none', async (t) => {
  const call = shop.call();
  await db.for(call).sql('select 1');
  await db.transaction({ call }, async (tx) => tx.sql('select 1'));
  t.same(spansOf(call.traceId), []);
});

t.test('events that are handled together stay in their own traces, and so does what comes of them', async (t) => {
  const traces = ['1', '2', '3'].map(trace);
  const events = traces.map((traceId, n): EventEnvelope => {
    const id = uuidv7();
    return { id, type: ping.events.hit.type, aggregateId: id, occurredAt: new Date().toISOString(), data: { id, n }, traceparent: callIn(traceId).traceparent, requestId: `request-${n}` };
  });
  const results = await shop.module('pong').intakes.get('pong.echo')!.handle(events);
  t.same(results, events.map(() => ({ outcome: 'handled' })));

  const [first, ...others] = await Promise.all(traces.map(async (traceId) => ended(traceId, 'process ping.hit.v1')));
  for (const span of [first!, ...others]) {
    t.equal(span.attributes['cleave.batch.size'], 3);
    t.equal((await ended(span.traceId, 'ping.read')).parentId, span.id, 'what it needs is asked for in its trace');
    t.equal((await ended(span.traceId, 'publish pong.echoed.v1')).parentId, span.id);
  }
  t.same(first!.links, []);
  for (const span of others) t.same(span.links, [first!.id], 'the shared transaction is where the first one is');
  const rows = await shop.sql<{ data: EventEnvelope }>('pong_outbox', `select data from job where data->>'aggregateId' = any($1) order by id`, [events.map(({ aggregateId }) => aggregateId)]);
  t.same(rows.map(({ data }) => [data.traceparent.slice(3, 35), data.requestId]), traces.map((traceId, n) => [traceId, `request-${n}`]));
});

t.test('a failure is on each span that it goes through, without its message', async (t) => {
  const traceId = trace('4');
  await t.rejects(shop.client(ping).hit({ id: uuidv7(), fail: true }, callIn(traceId)), { code: 'INTERNAL' });
  t.match(await ended(traceId, 'ping.hit'), { failed: true, message: 'Something went wrong on our side', attributes: { 'error.type': 'INTERNAL', 'rpc.status_code': 'INTERNAL' } });
  t.match(await ended(traceId, 'publish ping.hit.v1'), { failed: true, attributes: { 'error.type': 'Error' } });
  t.notMatch(recorder.text(), 'rolled back on request');
});

t.test('a handler that fails shows each of its tries', async (t) => {
  let failures = 2;
  behaviour = () => {
    failures -= 1;
    if (failures >= 0) throw new TypeError('hunter2 is no password');
  };
  const traceId = trace('5');
  await shop.client(ping).hit({ id: uuidv7() }, callIn(traceId));
  const tries = await shop.until(() => {
    const found = spansOf(traceId).filter(({ name }) => name === 'deliver ping.hit.v1');
    return found.length === 3 && found;
  }, 'three tries');
  t.same(tries.map(({ failed, attributes }) => [failed, attributes['error.type'], attributes['cleave.delivery.outcome']]), [[true, 'TypeError', 'failed'], [true, 'TypeError', 'failed'], [false, undefined, 'handled']]);
  for (const { id, failed } of tries) t.match(spansOf(traceId).find(({ parentId }) => parentId === id), { name: 'process ping.hit.v1', failed });
  const publisher = (await ended(traceId, 'publish ping.hit.v1')).id;
  t.same(tries.map(({ parentId }) => parentId), [publisher, publisher, publisher]);
  t.notMatch(recorder.text(), 'hunter2');
});

t.test('a statement that fails says what PostgreSQL calls it', async (t) => {
  const traceId = trace('6');
  await t.rejects(db.for(callIn(traceId)).sql(`select 'hunter2'::uuid`));
  t.match(spansOf(traceId), [{ name: 'SELECT', failed: true, attributes: { 'error.type': '22P02', 'db.response.status_code': '22P02', 'db.query.text': 'select ?::uuid' } }]);
});

t.test('a refusal is an answer', async (t) => {
  const traceId = trace('7');
  await t.rejects(shop.client(ping).hit({ id: 'no id' }, callIn(traceId)), { code: 'VALIDATION_FAILED' });
  const span = await ended(traceId, 'ping.hit');
  t.match(span, { failed: false, attributes: { 'cleave.refusal': 'VALIDATION_FAILED', 'rpc.status_code': 'VALIDATION_FAILED' } });
  t.notOk('error.type' in span.attributes);
});

t.test('what is not sampled is not recorded, here and in whatever follows', async (t) => {
  const traceId = trace('8');
  const { eventId } = await shop.client(ping).hit({ id: uuidv7() }, callIn(traceId, '00'));
  await shop.until(async () => (await shop.sql('pong', 'select from seen where event_id = $1', [eventId])).length, 'the event to be handled');
  t.same(spansOf(traceId), []);
  const [job] = await shop.sql<{ traceparent: string }>('ping_outbox', `select data->>'traceparent' as traceparent from job where data->>'id' = $1`, [eventId]);
  t.equal(job!.traceparent, callIn(traceId, '00').traceparent);
});

/** Invariant I2: the same values, errors, deadlines and cancellation wherever the callee is. What honestly differs stands in wire/diverge.test.ts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from '@sinclair/typebox';
import { pino } from 'pino';
import t from 'tap';
import { command, defineContract, query } from '../contract/contract.ts';
import { type CallError, isRefusal, refuse } from '../contract/errors.ts';
import { strict } from '../contract/schemas.ts';
import type { Operations } from '../contract/types.ts';
import { Call } from './call.ts';
import { Gate } from './gate.ts';
import { placements } from '../wire/placement.testing.ts';

const shelf = defineContract({
  name: 'shelf',
  version: 1,
  summary: 'A contract with an operation for each way a call can go.',
  errors: { EMPTY: { status: 409, title: 'Empty', remedy: 'Fill it.' }, BROKEN: { status: 500, title: 'Broken', remedy: 'None.' } },
  operations: {
    list: query({ version: 1, summary: 'What is there.', input: strict({ limit: Type.Integer({ minimum: 1 }) }), output: strict({ items: Type.Array(strict({ name: Type.String(), tag: Type.Optional(Type.String()) })) }), errors: ['EMPTY'] }),
    slow: command({ version: 1, summary: 'Takes its time.', idempotent: true, deadlineMs: 60, input: strict({ ms: Type.Integer(), blockedMs: Type.Optional(Type.Integer()), throws: Type.Optional(Type.Boolean()) }), output: strict({ aborted: Type.Boolean() }) }),
    held: command({ version: 1, summary: 'Takes until it is let go.', idempotent: true, deadlineMs: 20_000, input: strict({}), output: strict({}) }),
    nested: query({ version: 1, summary: 'Union, null and record.', input: strict({}), output: strict({ maybe: Type.Union([Type.Null(), strict({ deep: Type.Array(Type.Integer()) })]), map: Type.Record(Type.String(), Type.Integer()) }) }),
  },
  events: {},
});

const items: { name: string; tag?: string }[] = [{ name: 'a' }, { name: 'b', tag: 'x' }];
const nested = { maybe: { deep: [1, 2] }, map: { one: 1 } };
let received: unknown;
let seen: Call | undefined;
let finished = 0;
let letGo: (() => void) | undefined;

const operations: Operations<typeof shelf> = {
  async list(input, call) {
    received = input;
    seen = call;
    if (input.limit === 13) throw refuse(shelf, 'EMPTY', 'nothing is on the shelf', { shelf: 13 });
    if (input.limit === 14) throw refuse(shelf, 'BROKEN', 'a secret detail');
    if (input.limit === 15) throw new Error('a secret detail');
    if (input.limit === 16) return { items: [{ name: 1 }] } as never;
    return { items };
  },
  async slow({ ms, blockedMs = 0, throws = false }, call) {
    for (const began = performance.now(); performance.now() - began < blockedMs; );
    await sleep(ms, undefined, { signal: call.signal }).catch((error: unknown) => {
      if (throws) throw error;
    });
    finished += 1;
    return { aborted: call.signal.aborted };
  },
  async held() {
    await new Promise<void>((resolve) => (letGo = resolve));
    return {};
  },
  nested: async () => nested,
};

for (const [placement, place] of Object.entries(placements(t))) {
  const gate = new Gate('shelf');
  const callee = { contract: shelf, operations: operations as never, gate, log: pino({ level: 'silent' }) };
  const outcomes: string[] = [];
  const client = await place(shelf, callee, { observe: (_, outcome) => void outcomes.push(outcome) });
  const call = () => Call.root('test', 5_000);

  t.test(`calls ${placement}`, async (t) => {
    t.test('values arrive, and are nobody else\'s', async (t) => {
      const input = { limit: 2 };
      const first = await client.list(input, call());
      t.strictSame(first, { items: [{ name: 'a' }, { name: 'b', tag: 'x' }] });
      t.not(received, input);
      (first.items as { name: string }[])[0]!.name = 'changed by the caller';
      t.strictSame((await client.list(input, call())).items[0], { name: 'a' });
      const copy = await client.nested({}, call());
      t.strictSame(copy, nested);
      t.not(copy.maybe, nested.maybe);
      t.not(copy.map, nested.map);
    });

    t.test('a declared refusal keeps its identity; anything else does not get out', async (t) => {
      const refusal = await client.list({ limit: 13 }, call()).catch((error: unknown) => error);
      t.ok(isRefusal(refusal, shelf, 'EMPTY'));
      t.match(refusal, { status: 409, data: { shelf: 13 } });
      for (const limit of [14, 15]) {
        const error = (await client.list({ limit }, call()).catch((caught: unknown) => caught)) as CallError;
        t.equal(error.code, 'INTERNAL');
        t.notMatch(error.message, 'secret');
      }
    });

    t.test('inputs and outputs that do not fit are refused', async (t) => {
      await t.rejects(client.list({ limit: 0 }, call()), { code: 'VALIDATION_FAILED', errors: [{ path: '/limit' }] });
      await t.rejects(client.list({ limit: 1, more: 1 } as never, call()), { code: 'VALIDATION_FAILED' });
      await t.rejects(client.list({ limit: 16 }, call()), { code: 'INTERNAL', errors: [{ path: '/items/0/name' }] });
    });

    t.test('the nearer deadline counts, and the callee learns of it', async (t) => {
      const before = finished;
      await t.rejects(client.slow({ ms: 2_000 }, call()), { code: 'DEADLINE_EXCEEDED' });
      while (finished === before) await sleep(5);
      await t.rejects(client.list({ limit: 1 }, Call.root('test', 0)), { code: 'DEADLINE_EXCEEDED' });
      await client.list({ limit: 1 }, Call.root('test', 1_000));
      t.ok(seen!.remainingMs <= 1_000, 'the caller\'s deadline is passed on');
    });

    // Node counts a timer from the beginning of the turn of the event loop that sets it: after a long turn it fires too soon.
    t.test('what a callee makes of its signal is late, also where the signal fires too soon', async (t) => {
      for (const throws of [false, true]) await t.rejects(client.slow({ ms: 2_000, blockedMs: 40, throws }, call()), { code: 'DEADLINE_EXCEEDED' });
    });

    t.test('a caller that gives up gets CANCELLED, and the callee is told', async (t) => {
      const giveUp = new AbortController();
      const pending = client.slow({ ms: 5_000 }, Call.root('test', 5_000, { signal: giveUp.signal }));
      giveUp.abort();
      await t.rejects(pending, { code: 'CANCELLED' });
      await t.rejects(client.list({ limit: 1 }, Call.root('test', 5_000, { signal: giveUp.signal })), { code: 'CANCELLED' });
    });

    t.test('a closed gate refuses new calls and waits for those under way', async (t) => {
      letGo = undefined;
      const pending = client.held({}, call());
      while (!letGo) await sleep(1);
      let isClosed = false;
      const closed = gate.close().then(() => (isClosed = true));
      await t.rejects(client.list({ limit: 1 }, call()), { code: 'UNAVAILABLE' });
      t.notOk(isClosed);
      (letGo as () => void)();
      await Promise.all([pending, closed]);
      t.equal(gate.inFlight, 0);
      gate.open();
    });

    t.test('an operation that throws before it has promised anything has been left, too', async (t) => {
      const list = () => {
        throw new Error('at once');
      };
      const hasty = await place(shelf, { ...callee, operations: { list } });
      await t.rejects(hasty.list({ limit: 1 }, call()), { code: 'INTERNAL' });
      t.equal(gate.inFlight, 0);
    });

    t.test('every call is recorded with its outcome', async (t) => {
      t.equal(outcomes.filter((outcome) => outcome === 'DEADLINE_EXCEEDED').length, 4, 'once, also where an answer comes later');
      for (const outcome of ['ok', 'EMPTY', 'INTERNAL', 'VALIDATION_FAILED', 'DEADLINE_EXCEEDED', 'CANCELLED', 'UNAVAILABLE']) t.ok(outcomes.includes(outcome), outcome);
    });
  });
}

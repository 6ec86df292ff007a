import { Call, CallError } from '#kernel';
import t from 'tap';
import { Slots } from './slots.ts';

const call = (timeoutMs = 10_000, signal?: AbortSignal): Call => Call.root('test', timeoutMs, { signal });

/** Work that is done when the test says so. */
function work() {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { run: () => promise, finish: resolve };
}

t.test('who finds no slot waits for a turn, in the order of asking', async (t) => {
  const slots = new Slots('checks', { slots: 1, queue: 2 });
  const [first, order] = [work(), [] as string[]];
  const jobs = [slots.run(call(), first.run), slots.run(call(), async () => order.push('second')), slots.run(call(), async () => order.push('third'))];
  await Promise.resolve();
  t.equal(slots.waiting, 2);
  t.same(order, []);
  first.finish('done');
  await Promise.all(jobs);
  t.same(order, ['second', 'third']);
  t.equal(slots.waiting, 0);
});

t.test('as many run at a time as there are slots, whatever happens', async (t) => {
  const slots = new Slots('checks', { slots: 3, queue: 100 });
  let running = 0;
  let most = 0;
  const job = async (i: number): Promise<void> => {
    most = Math.max(most, (running += 1));
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    if (i % 4 === 0) throw new Error('this one failed');
  };
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => slots.run(call(), () => job(i))));
  t.equal(most, 3);
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 37, 'a failure frees its slot');
});

t.test('a full queue refuses at once', async (t) => {
  const slots = new Slots('checks', { slots: 1, queue: 1 });
  const first = work();
  const jobs = [slots.run(call(), first.run), slots.run(call(), async () => 'second')];
  await t.rejects(slots.run(call(), async () => 'third'), { name: 'CallError', code: 'UNAVAILABLE', status: 503, message: /1 checks are waiting already/ });
  first.finish('done');
  t.same(await Promise.all(jobs), ['done', 'second']);
});

t.test('who waits longer than the deadline allows, or gives up, leaves the queue', async (t) => {
  const awake = setInterval(() => undefined, 1_000);
  t.teardown(() => clearInterval(awake));
  const slots = new Slots('checks', { slots: 1, queue: 2 });
  const [first, hangUp] = [work(), new AbortController()];
  const running = slots.run(call(), first.run);
  const late = slots.run(call(5), async () => t.fail('it must not run'));
  const gone = slots.run(call(10_000, hangUp.signal), async () => t.fail('it must not run'));
  hangUp.abort();
  await t.rejects(gone, { code: 'CANCELLED' });
  await t.rejects(late, { code: 'DEADLINE_EXCEEDED', status: 503 });
  t.equal(slots.waiting, 0);
  first.finish('done');
  await running;
  t.equal(await slots.run(call(), async () => 'the slot is free again'), 'the slot is free again');
});

t.test('a call that is over does not begin', async (t) => {
  const slots = new Slots('checks', { slots: 1, queue: 1 });
  await t.rejects(slots.run(call(-1), async () => t.fail('it must not run')), CallError);
});

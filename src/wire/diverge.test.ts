/**
 * What honestly differs when a callee is in another process (invariant I2): nobody knows any more whether a command was carried out whose
 * connection broke. In this process that cannot happen; over a wire it has an error of its own.
 */
import t from 'tap';
import { Call } from '../calls/call.ts';
import { peer, till, tillCallee } from './fixtures.testing.ts';
import { overTheWire, serve } from './placement.testing.ts';

const call = () => Call.root('test', 5_000);

t.test('a command that may have been carried out says so, and is not repeated', async (t) => {
  let asked = 0;
  const { origin } = await peer(t, (request) => {
    asked += 1;
    request.socket.destroy();
  });
  const client = overTheWire(t, till, origin);
  await t.rejects(client.put({}, call()), { name: 'CallError', code: 'OUTCOME_UNKNOWN', status: 503 });
  t.equal(asked, 1);
});

t.test('what may be done twice is asked again before anybody hears of it', async (t) => {
  const callee = tillCallee();
  const good = await serve(t, callee);
  let broken = 0;
  const { origin } = await peer(t, (request) => {
    broken += 1;
    request.socket.destroy();
  });
  const client = overTheWire(t, till, [origin, good]);
  for (let n = 1; n <= 20; n += 1) t.same(await client.set({ n }, call()), { n });
  t.same(await client.count({}, call()), { n: 20 });
  t.ok(broken > 0, 'some went to the broken one first');
});

t.test('a query that gets no answer has changed nothing: the callee is unavailable', async (t) => {
  const { origin } = await peer(t, (request) => void request.socket.destroy());
  await t.rejects(overTheWire(t, till, origin).count({}, call()), { code: 'UNAVAILABLE' });
});

t.test('a command that is late may do its work all the same, as in this process', async (t) => {
  const callee = tillCallee(async (_operation, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())));
  const client = overTheWire(t, till, await serve(t, callee));
  await t.rejects(client.put({}, Call.root('test', 1_000)), { code: 'DEADLINE_EXCEEDED' });
  t.equal(callee.state.n, 1);
});

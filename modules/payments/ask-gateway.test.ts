import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { askGateway, pauseBeforeRetry } from './ask-gateway.ts';
import { GatewayFailure } from './gateway.ts';

const soon = () => ({ tries: 3, timeoutMs: 40, until: Date.now() + 5_000 });

t.test('a question that fails is asked again, three times at the most', async (t) => {
  let asked = 0;
  const answer = await askGateway(async () => {
    asked += 1;
    if (asked < 3) throw new GatewayFailure('down');
    return 'up again';
  }, soon());
  t.equal(answer, 'up again');
  await t.rejects(
    askGateway(async () => {
      asked += 1;
      throw new GatewayFailure('down');
    }, soon()),
    { name: 'GatewayFailure', message: 'down' },
  );
  t.equal(asked, 6, 'three and three');
});

t.test('an answer that is late is not waited for, and its question is called off', async (t) => {
  const signals: AbortSignal[] = [];
  const late = askGateway(async (signal) => {
    signals.push(signal);
    return signals.length === 1 ? sleep(10_000, 'late', { signal }) : 'at once';
  }, soon());
  t.equal(await late, 'at once');
  t.equal(signals[0]!.aborted, true);
});

t.test('no question begins after the time is up', async (t) => {
  let asked = 0;
  const ask = async () => {
    asked += 1;
    throw new GatewayFailure('down');
  };
  await t.rejects(askGateway(ask, { ...soon(), until: Date.now() - 1 }), GatewayFailure);
  t.equal(asked, 0);
  await t.rejects(askGateway(ask, { ...soon(), until: Date.now() + 20 }), GatewayFailure);
  t.equal(asked, 1, 'the pause before the second try would be too long');
});

t.test('whatever an adapter throws means that the answer is not known', async (t) => {
  const broken = askGateway(async () => Promise.reject(new Error('socket hang up')), { ...soon(), tries: 1 });
  await t.rejects(broken, { name: 'GatewayFailure', cause: { message: 'socket hang up' } });
});

t.test('pauses double and are spread over their upper half', async (t) => {
  t.equal(pauseBeforeRetry(1, 0), 50);
  t.equal(pauseBeforeRetry(1, 1), 100);
  t.equal(pauseBeforeRetry(2, 1), 200);
});

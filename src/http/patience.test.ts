/** An answer that comes too late is none; one that could not be read earlier is in time. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { Patience } from './patience.ts';

function outcome(patience: Patience, ask: (answered: (error: Error | null, answer?: string) => void) => void): Promise<string> {
  return new Promise((resolve) => patience.await<string>((error, answer) => resolve(error?.message ?? answer!), ask));
}

t.test('an answer is handed on, an error too, and only once', async (t) => {
  const patience = new Patience(50);
  const heard: unknown[] = [];
  patience.await<string>((error, answer) => heard.push(error ?? answer), (answered) => {
    answered(null, 'first');
    answered(null, 'second');
    answered(new Error('third'));
  });
  t.same(heard, ['first']);
  t.equal(await outcome(patience, (answered) => answered(new Error('refused'))), 'refused');
});

t.test('no answer ends in time, each in its own', async (t) => {
  const patience = new Patience(50);
  const began = performance.now();
  const first = outcome(patience, () => undefined);
  await new Promise((resolve) => setTimeout(resolve, 30));
  const second = outcome(patience, (answered) => setTimeout(() => answered(null, 'in time'), 25));
  t.equal(await first, 'no answer within 50 ms');
  const took = performance.now() - began;
  t.ok(took >= 48, `ended after ${took} ms`);
  t.equal(await second, 'in time');
});

t.test('an answer that came while the process itself stood still is in time', async (t) => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  await once(socket, 'connect');
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  const patience = new Patience(50);
  const answer = outcome(patience, (answered) => {
    socket.once('data', (data) => answered(null, String(data)));
    socket.write('here');
  });
  for (const end = performance.now() + 200; performance.now() < end; );
  t.equal(await answer, 'here');
});

import { once } from 'node:events';
import { createServer } from 'node:net';
import t from 'tap';
import { StartError } from './start-error.ts';
import { explainFailure } from './start-failure.ts';

t.test('a foreseen failure is a sentence with its remedy, without a stack', async (t) => {
  t.equal(explainFailure(new StartError('the disk is full.', 'Make room.')), 'Cleave cannot start: the disk is full.\nMake room.\n');
});

t.test('a port that is taken is named, with another one to take', async (t) => {
  const first = createServer().listen(0, '127.0.0.1');
  await once(first, 'listening');
  t.teardown(() => first.close());
  const { port } = first.address() as { port: number };
  const second = createServer().listen(port, '127.0.0.1');
  const [error] = await once(second, 'error');
  t.equal(
    explainFailure(error),
    `Cleave cannot start: port ${port} on 127.0.0.1 is in use.\nStop the program that uses it, or take another port: PORT=${port + 1} npm start.\n`,
  );
});

t.test('an address of another machine is named', async (t) => {
  const [error] = await once(createServer().listen(0, '192.0.2.1'), 'error');
  t.match(explainFailure(error), /^Cleave cannot start: 192\.0\.2\.1 is no address of this machine\.\nSet HOST/);
});

t.test('a database login that lacks a right is told which', async (t) => {
  const refusal = Object.assign(new Error('permission denied for database shop'), { code: '42501' });
  t.match(explainFailure(refusal), /^Cleave cannot start: the database login lacks a right: permission denied for database shop\.\nLet an administrator grant it/);
});

t.test('a failure that nobody foresaw keeps its stack', async (t) => {
  t.match(explainFailure(new TypeError('x is undefined')), /not foreseen[^]*TypeError: x is undefined\n {4}at /);
});

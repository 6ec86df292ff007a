/** What a line looks like, and what never stands in one. */
import t from 'tap';
import { createLog } from './log.ts';
import { blotSecrets } from './secrets.ts';

function logging() {
  const lines: Record<string, unknown>[] = [];
  return { lines, log: createLog('info', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }) };
}

t.test('a line has level, time and the bindings, and nothing of the machine', async (t) => {
  const { lines, log } = logging();
  log.child({ module: 'orders' }).info({ orderId: 'o-1' }, 'placed');
  log.debug('not at this level');
  t.equal(lines.length, 1);
  t.same(Object.keys(lines[0]!).sort(), ['level', 'module', 'msg', 'orderId', 'time']);
  t.match(lines[0], { level: 'info', module: 'orders', msg: 'placed', time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/ });
});

t.test('secrets are blotted out wherever they stand', async (t) => {
  const { lines, log } = logging();
  const fields = {
    token: 's3cret',
    headers: { Authorization: 'Bearer s3cret' },
    body: { payment: { cardToken: 's3cret' }, users: [{ password: 's3cret', currentPassword: { inner: 's3cret' } }] },
  };
  log.info(fields, 'request');
  t.notMatch(JSON.stringify(lines), 's3cret');
  t.match(lines[0], { token: '[redacted]', headers: { Authorization: '[redacted]' }, body: { users: [{ password: '[redacted]' }] } });
  t.equal(fields.body.users[0]!.password, 's3cret', 'what was handed over is left alone');
});

t.test('fields without secrets are not copied', async (t) => {
  const fields = { a: { b: [{ c: 1 }] }, at: new Date(0), err: new Error('x') };
  t.equal(blotSecrets(fields), fields);
});

t.test('what is nested too deep is not shown, nor endless', async (t) => {
  const ring: { name: string; self?: unknown } = { name: 'ring' };
  ring.self = ring;
  t.match(JSON.stringify(blotSecrets(ring)), '[redacted]');
});

t.test('errors are described by what is known to be harmless', async (t) => {
  const { lines, log } = logging();
  const error = Object.assign(new TypeError('failed', { cause: new Error('because', { cause: 'a text' }) }), {
    code: 'E_X',
    query: 's3cret',
    client: { password: 's3cret' },
  });
  log.error({ err: error }, 'broken');
  const cause = { message: 'because', cause: 'a text' };
  t.match(lines[0], { err: { type: 'TypeError', message: 'failed', code: 'E_X', stack: /log\.test/, cause } });
  t.notMatch(JSON.stringify(lines), 's3cret');
});

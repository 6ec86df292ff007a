/** Peers that are away, speak another version, answer nonsense, too much or never: one clear error each, and nothing hangs. */
import t from 'tap';
import { Call } from '../calls/call.ts';
import { nobody, peer, till } from './fixtures.testing.ts';
import { overTheWire } from './placement.testing.ts';
import { ANSWER_LIMIT } from './protocol.ts';

const call = () => Call.root('test', 5_000);
const json = { 'content-type': 'application/json' };

t.test('a peer that is away has not been reached', async (t) => {
  await t.rejects(overTheWire(t, till, await nobody()).put({}, call()), { code: 'UNAVAILABLE', message: 'till cannot be reached' });
  await t.rejects(overTheWire(t, till, []).put({}, call()), { code: 'UNAVAILABLE', message: 'till cannot be reached' });
});

const nonsense: Readonly<Record<string, [number, string]>> = {
  'no JSON': [200, 'hello'],
  'another shape': [200, '{"m":1}'],
  'a property too many': [200, '{"n":1,"more":true}'],
  'a status without a failure': [500, '<html>'],
  'a refusal that the contract does not know': [409, '{"module":"till","code":"NOT_MINE","detail":"x"}'],
  'a refusal of another module': [409, '{"module":"safe","code":"FULL","detail":"x"}'],
  'a failure that nobody knows': [503, '{"code":"WHATEVER","detail":"x"}'],
};

for (const [what, [status, body]] of Object.entries(nonsense)) {
  t.test(`a peer that answers ${what} has failed, and the caller learns nothing of it`, async (t) => {
    const { origin } = await peer(t, (_request, reply) => void reply.writeHead(status, json).end(body));
    await t.rejects(overTheWire(t, till, origin).count({}, call()), { code: 'INTERNAL', message: 'till.count failed' });
  });
}

for (const [status, code] of [[401, 'UNAUTHENTICATED'], [403, 'FORBIDDEN'], [404, 'ROUTE_NOT_FOUND'], [400, 'MALFORMED_BODY']] as const) {
  t.test(`a peer that does not let this process in (${code}) is away, whoever asks here: it is not their token, or their path`, async (t) => {
    const { origin } = await peer(t, (_request, reply) => void reply.writeHead(status, json).end(JSON.stringify({ code, detail: 'a service token for till is needed' })));
    await t.rejects(overTheWire(t, till, origin).count({}, call()), { code: 'UNAVAILABLE', message: 'till cannot be asked at the moment' });
  });
}

t.test('a peer that answers too much is hung up on', async (t) => {
  let sent = 0;
  const { origin } = await peer(t, (_request, reply) => {
    const chunk = Buffer.alloc(1024 * 1024, ' ');
    reply.writeHead(200, json);
    const more = (): void => {
      while (sent < 10 * ANSWER_LIMIT && reply.write(chunk)) sent += chunk.length;
    };
    reply.on('drain', more);
    more();
  });
  await t.rejects(overTheWire(t, till, origin).count({}, Call.root('test', 20_000)), { code: 'INTERNAL' });
  t.ok(sent < 3 * ANSWER_LIMIT, `it could send ${sent} bytes`);
});

t.test('a peer that never answers is waited for until the deadline', async (t) => {
  const { origin } = await peer(t, () => undefined);
  const started = performance.now();
  await t.rejects(overTheWire(t, till, origin).count({}, Call.root('test', 300)), { code: 'DEADLINE_EXCEEDED' });
  t.ok(performance.now() - started < 3_000, 'not for as long as the operation may take');
});

t.test('a peer that begins to answer and stops is waited for until the deadline', async (t) => {
  const { origin } = await peer(t, (_request, reply) => void reply.writeHead(200, json).write('{"n":'));
  await t.rejects(overTheWire(t, till, origin).count({}, Call.root('test', 300)), { code: 'DEADLINE_EXCEEDED' });
});

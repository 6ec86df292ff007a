/** How requests pass through the gateway: as they came, as fast as both sides take them, and never half done without a word. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { begin, deadOrigin, Doorman, gatewayTo, service } from './upstream.testing.ts';

const THINGS = '/api/v1/things';

t.test('what was sent arrives as it was sent', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const { sent, answer } = begin(`${gateway.url}${THINGS}?q=%C3%A4&q=2`, 'POST', { 'content-type': 'text/odd; x=1', 'x-mine': 'yes', cookie: 'a=1' });
  sent.end('{"not json');
  const [incoming, reply] = await doorman.next();
  t.equal(incoming.method, 'POST');
  t.equal(incoming.url, `${THINGS}?q=%C3%A4&q=2`);
  t.match(incoming.headers, { 'content-type': 'text/odd; x=1', 'x-mine': 'yes', cookie: 'a=1' });
  t.equal(await text(incoming), '{"not json');
  reply.writeHead(207, { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'], 'x-mine': 'too' }).end('as it is');
  const answered = await answer;
  t.equal(answered.statusCode, 207);
  t.match(answered.headers, { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'], 'x-mine': 'too' });
  t.equal(await text(answered), 'as it is');
});

t.test('any method is for the service to take or not', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  for (const method of ['PUT', 'DELETE', 'OPTIONS', 'PROPFIND', 'HEAD']) {
    const { sent, answer } = begin(`${gateway.url}${THINGS}/x/y`, method);
    sent.end();
    const [incoming, reply] = await doorman.next();
    t.equal(incoming.method, method);
    reply.writeHead(405, { allow: 'GET', 'content-length': '0' }).end();
    t.match(await answer, { statusCode: 405, headers: { allow: 'GET' } });
    (await answer).resume();
  }
});

t.test('what concerns one connection stays there, and the client is told of by the gateway', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const forged = { forwarded: 'for=192.0.2.1', 'x-forwarded-for': '192.0.2.1', 'x-forwarded-host': 'evil', 'x-forwarded-port': '1', expect: 'wonders' };
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { sent, answer } = begin(`${gateway.url}${THINGS}`, 'GET', { connection: 'close, x-private', 'x-private': '1', te: 'trailers', 'keep-alive': 'timeout=1', upgrade: 'h2c', 'x-request-id': 'mine', traceparent: trace, tracestate: 'a=b', ...forged });
  sent.end();
  const [incoming, reply] = await doorman.next();
  const { headers } = incoming;
  t.same(['x-private', 'te', 'keep-alive', 'upgrade', 'forwarded', 'x-forwarded-port', 'expect'].filter((name) => name in headers), []);
  t.match(headers, { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': new URL(gateway.url).host, 'x-request-id': 'mine', tracestate: 'a=b' });
  t.match(headers['traceparent'], /^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)/, 'the trace goes on, under the gateway');
  reply.writeHead(200, { connection: 'x-inside, keep-alive', 'x-inside': '1', 'x-request-id': 'another', traceparent: trace, 'x-content-type-options': 'nosniff' }).end('{}');
  const { rawHeaders } = await answer;
  const names = rawHeaders.filter((_, n) => n % 2 === 0).map((name) => name.toLowerCase());
  t.same(names, [...new Set(names)], 'nothing comes twice');
  t.notOk(names.includes('x-inside'));
  t.match((await answer).headers, { 'x-request-id': 'mine', traceparent: headers['traceparent'] });
  (await answer).resume();
});

t.test('a trace that is none takes its state along', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const { sent, answer } = begin(`${gateway.url}${THINGS}`, 'GET', { traceparent: 'nonsense', tracestate: 'a=b' });
  sent.end();
  const [incoming, reply] = await doorman.next();
  t.equal(incoming.headers['tracestate'], undefined);
  reply.end();
  (await answer).resume();
});

t.test('neither side waits for the end of the other', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const { sent, answer } = begin(`${gateway.url}${THINGS}`, 'POST');
  sent.write('one');
  const [incoming, reply] = await doorman.next();
  t.equal(String((await once(incoming, 'data'))[0]), 'one', 'the service reads what the client has not sent to the end');
  reply.write('first');
  const answered = await answer;
  t.equal(String((await once(answered, 'data'))[0]), 'first', 'the client reads what the service has not sent to the end');
  sent.end('two');
  t.equal(String((await once(incoming, 'data'))[0]), 'two');
  reply.end('last');
  t.equal(String((await once(answered, 'data'))[0]), 'last');
});

t.test('bodies of any size pass whole', async (t) => {
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const body = randomBytes(24 * 1024 * 1024);
  const gateway = await gatewayTo(t, [await service(t, (incoming, reply) => void buffer(incoming).then((got) => reply.writeHead(200, { 'x-got': hash(got) }).end(got)))]);
  const { sent, answer } = begin(`${gateway.url}${THINGS}`, 'POST');
  sent.end(body);
  const answered = await answer;
  t.equal(answered.headers['x-got'], hash(body));
  t.equal(hash(await buffer(answered)), hash(body));
});

t.test('who is refused before the body has come gets the refusal, on a connection that lives', async (t) => {
  const gateway = await gatewayTo(t, [await service(t, (_incoming, reply) => void reply.writeHead(413, { 'content-type': 'application/json' }).end('"too much"'))]);
  for (let n = 0; n < 5; n += 1) {
    const response = await fetch(`${gateway.url}${THINGS}`, { method: 'POST', body: randomBytes(3 * 1024 * 1024) });
    t.equal(response.status, 413);
    t.equal(await response.text(), '"too much"');
  }
});

t.test('a client that goes away takes its request along', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const waiting = begin(`${gateway.url}${THINGS}`, 'GET');
  waiting.sent.end();
  const [asked, reply] = await doorman.next();
  const gone = once(reply, 'close');
  waiting.sent.socket!.resetAndDestroy();
  await gone;
  t.notOk(reply.writableFinished, 'before the answer');
  t.ok(asked.destroyed);

  const reading = begin(`${gateway.url}${THINGS}`, 'GET');
  reading.sent.end();
  const [, endless] = await doorman.next();
  endless.write('something');
  await reading.answer;
  const cut = once(endless, 'close');
  reading.sent.socket!.resetAndDestroy();
  await cut;
  t.notOk(endless.writableFinished, 'within the answer');

  const sending = begin(`${gateway.url}${THINGS}`, 'POST');
  sending.sent.write('half of it');
  const [half] = await doorman.next();
  const over = new Promise((resolve) => half.on('error', () => undefined).on('close', resolve));
  sending.sent.destroy();
  await over;
  t.notOk(half.complete, 'within the request: half of it is not taken for all');
});

t.test('a client that closes its side is waited for, unless a second has passed: then it has given up, and is told so where it listens', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const early = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  early.end(`GET ${THINGS} HTTP/1.1\r\nhost: shop\r\n\r\n`);
  const [, reply] = await doorman.next();
  reply.end('as you wish');
  t.match(await text(early), /^HTTP\/1\.1 200 [^]*as you wish/);

  const late = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  late.write(`GET ${THINGS} HTTP/1.1\r\nhost: shop\r\n\r\n`);
  const [, unwanted] = await doorman.next();
  const told = once(unwanted, 'close');
  const now = performance.now.bind(performance);
  t.intercept(performance, 'now', { value: () => now() + 1_000 });
  late.end();
  await told;
  t.notOk(unwanted.writableFinished, 'the service is told');
  t.match(await text(late), /^HTTP\/1\.1 499 [^]*"code":"CANCELLED"/);
});

t.test('nobody waits longer than the deadline', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)], { UPSTREAM_TIMEOUT_MS: '100' });
  const asked = fetch(`${gateway.url}${THINGS}`);
  const [, reply] = await doorman.next();
  const given = once(reply, 'close');
  const response = await asked;
  t.equal(response.status, 503);
  t.ok(response.headers.has('retry-after'));
  t.match(await response.json(), { code: 'DEADLINE_EXCEEDED', instance: THINGS });
  await given;
  t.notOk(reply.writableFinished, 'the service is told');
});

t.test('an answer that stops in the middle is cut off', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)], { UPSTREAM_TIMEOUT_MS: '200' });
  const { sent, answer } = begin(`${gateway.url}${THINGS}`, 'GET');
  sent.end();
  const [, silent] = await doorman.next();
  silent.write('half of ');
  await t.rejects(text(await answer), { code: 'ECONNRESET' }, 'the service falls silent');

  const second = begin(`${gateway.url}${THINGS}`, 'GET');
  second.sent.end();
  const [, broken] = await doorman.next();
  broken.write('half of ');
  const answered = await second.answer;
  broken.destroy();
  await t.rejects(text(answered), { code: 'ECONNRESET' }, 'the connection breaks');
});

t.test('a client that takes nothing holds a connection to the service no longer than a deadline', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)], { UPSTREAM_TIMEOUT_MS: '200' });
  const { sent, answer } = begin(`${gateway.url}${THINGS}`, 'GET');
  sent.end();
  const [, reply] = await doorman.next();
  const given = once(reply, 'close');
  reply.writeHead(200).write(randomBytes(32 * 1024 * 1024));
  (await answer).pause();
  await given;
  t.notOk(reply.writableFinished, 'the service is told');

  const slow = begin(`${gateway.url}${THINGS}`, 'GET');
  slow.sent.end();
  const [, patient] = await doorman.next();
  const whole = randomBytes(8 * 1024 * 1024);
  patient.end(whole);
  const answered = await slow.answer;
  await sleep(100);
  t.ok((await buffer(answered)).equals(whole), 'one that hesitates gets all of it');
});

t.test('a service that cannot be reached is unavailable for now', async (t) => {
  const gateway = await gatewayTo(t, [await deadOrigin()]);
  for (const [method, body] of [['GET'], ['POST', '{}']] as const) {
    const response = await fetch(`${gateway.url}${THINGS}`, { method, ...(body && { body }) });
    t.equal(response.status, 503);
    t.equal(response.headers.get('retry-after'), '2');
    t.match(await response.json(), { code: 'UNAVAILABLE', detail: 'things cannot be reached' });
  }
  const nowhere = await gatewayTo(t, []);
  t.equal((await fetch(`${nowhere.url}${THINGS}`)).status, 503, 'nobody knows of any');
});

t.test('what has not been sent goes to another replica, and its body with it', async (t) => {
  const doorman = new Doorman();
  const alive = await service(t, doorman.answer);
  const origins = [alive];
  const gateway = await gatewayTo(t, origins);
  const first = fetch(`${gateway.url}${THINGS}`);
  const [, held] = await doorman.next();
  // The one that has less to do comes first.
  origins.push(await deadOrigin());
  const second = fetch(`${gateway.url}${THINGS}`, { method: 'POST', body: 'the body' });
  const [incoming, reply] = await doorman.next();
  t.equal(await text(incoming), 'the body');
  reply.end('done');
  t.equal(await (await second).text(), 'done');
  held.end('done, too');
  t.equal(await (await first).text(), 'done, too');
});

t.test('what may have been done is not done again', async (t) => {
  let arrived = 0;
  const breaking = async () => service(t, (incoming) => void ((arrived += 1), incoming.socket.destroy()));
  const gateway = await gatewayTo(t, [await breaking(), await breaking()]);
  const posted = await fetch(`${gateway.url}${THINGS}`, { method: 'POST', body: '{}' });
  t.match([posted.status, await posted.json()], [503, { code: 'OUTCOME_UNKNOWN' }]);
  t.equal(arrived, 1);
  const got = await fetch(`${gateway.url}${THINGS}`);
  t.match([got.status, await got.json()], [503, { code: 'UNAVAILABLE' }]);
  t.equal(arrived, 2);
});

t.test('who stops lets what is in hand end', async (t) => {
  const doorman = new Doorman();
  const gateway = await gatewayTo(t, [await service(t, doorman.answer)]);
  const asked = fetch(`${gateway.url}${THINGS}`);
  const [, reply] = await doorman.next();
  const stopped = gateway.stop();
  reply.end('in time');
  t.equal(await (await asked).text(), 'in time');
  await stopped;
  await t.rejects(fetch(`${gateway.url}${THINGS}`));
});

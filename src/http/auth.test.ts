/** Who is let in, who is not, and how little of a token is believed before its signature has been checked. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { strict } from '../contract/schemas.ts';
import { key, segment, testKey, testServer, tokenOf, untilStatus } from './server.testing.ts';
import type { RoutesPlugin } from './route.ts';
import type { KeySet, TokenKey } from './token-claims.ts';

const routes: RoutesPlugin = async (app) => {
  app.get('/mine', { config: { access: ['customer', 'admin'] } }, async (request) => request.actor);
  app.get('/admin', { config: { access: ['admin'] } }, async (request) => request.actor);
  app.get('/maybe', { config: { access: 'optional' } }, async (request) => ({ actor: request.actor }));
  app.get('/open', { config: { access: 'anyone' } }, async (request) => ({ actor: request.actor }));
  app.post('/strict', { config: { access: ['admin'] }, schema: { body: strict({ a: Type.Integer() }) } }, async () => ({}));
};

const now = Math.floor(Date.now() / 1_000);
const other = testKey(key.kid);
const unknown = testKey('unknown');

function unsigned(header: object): string {
  return `${segment(header)}.${tokenOf('admin').split('.')[1]}`;
}

function withHmac(secret: string | Buffer, kid = key.kid, alg = 'HS256'): string {
  const input = unsigned({ alg, typ: 'at+jwt', kid });
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

function withEd25519(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const input = unsigned({ alg: 'EdDSA', typ: 'at+jwt', kid: key.kid });
  return `${input}.${sign(null, Buffer.from(input), privateKey).toString('base64url')}`;
}

function tampered(): string {
  const [header, payload, signature] = tokenOf('customer').split('.');
  const claims = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as object;
  return `${header}.${segment({ ...claims, role: 'admin' })}.${signature}`;
}

const publicPem = key.publicKey.export({ type: 'spki', format: 'pem' }) as string;
const jwk = { ...other.published };

const refused: Readonly<Record<string, string>> = {
  'no token at all': '',
  'one that is no JWT': 'abc',
  'two segments': 'a.b',
  'five segments': 'a.b.c.d.e',
  'a claim changed after signing': tampered(),
  'a signature of another key of the same name': tokenOf('admin', { key: other }),
  'an unknown key': tokenOf('admin', { key: unknown }),
  'no key named': tokenOf('admin', { header: { kid: undefined } }),
  'a key name that is a path': tokenOf('admin', { header: { kid: '../../../../dev/null' } }),
  'a key name that is an empty file, which an HMAC would take as secret': withHmac('', '/dev/null'),
  'a key name that is SQL': tokenOf('admin', { header: { kid: `x' union select 'secret' --` } }),
  'a key name that is a property of every object': tokenOf('admin', { header: { kid: '__proto__' } }),
  'a key name that is a method of every object': tokenOf('admin', { header: { kid: 'toString' } }),
  'a key name that is a place': tokenOf('admin', { header: { kid: 'https://evil.example/keys' } }),
  'a key name with a NUL': tokenOf('admin', { header: { kid: `${key.kid}\0` } }),
  'a key name that is no text': tokenOf('admin', { header: { kid: 1 } }),
  'algorithm none': `${unsigned({ alg: 'none', typ: 'at+jwt', kid: key.kid })}.`,
  ...Object.fromEntries(['None', 'NONE', 'nOnE', 'none ', '', 'rs256'].map((alg) => [`algorithm ${JSON.stringify(alg)}`, `${unsigned({ alg, typ: 'at+jwt', kid: key.kid })}.`])),
  'algorithm none over a good signature': tokenOf('admin', { header: { alg: 'none' } }),
  'no algorithm': tokenOf('admin', { header: { alg: undefined } }),
  'algorithms in a list': tokenOf('admin', { header: { alg: ['RS256'] } }),
  'no signature and no dot': tokenOf('admin').split('.').slice(0, 2).join('.'),
  'half of a signature': tokenOf('admin').slice(0, -100),
  'no signature': `${tokenOf('admin').split('.').slice(0, 2).join('.')}.`,
  'the public key taken as an HMAC secret': withHmac(publicPem),
  'the public key, trimmed, taken as an HMAC secret': withHmac(publicPem.trim()),
  'the public key in DER taken as an HMAC secret': withHmac(key.publicKey.export({ type: 'spki', format: 'der' })),
  'the public key taken as an HMAC secret, and said to be RS256': withHmac(publicPem, key.kid, 'RS256'),
  'the published key set taken as an HMAC secret': withHmac(JSON.stringify(key.published)),
  'an algorithm that the key is not for': tokenOf('admin', { header: { alg: 'RS512' } }),
  'PS256 over an RS256 signature': tokenOf('admin', { header: { alg: 'PS256' } }),
  'another kind of key': withEd25519(),
  'a key of its own (jwk)': tokenOf('admin', { key: other, header: { jwk } }),
  'a key of its own beside a good signature': tokenOf('admin', { header: { jwk } }),
  'a place for keys of its own (jku)': tokenOf('admin', { header: { jku: 'https://evil.example/keys' } }),
  'a certificate of its own (x5u)': tokenOf('admin', { header: { x5u: 'https://evil.example/cert' } }),
  'a certificate chain of its own (x5c)': tokenOf('admin', { header: { x5c: ['AAAA'] } }),
  'a critical extension that nobody knows': tokenOf('admin', { header: { crit: ['exp2'], exp2: 1 } }),
  'another type': tokenOf('admin', { header: { typ: 'JWT' } }),
  'no type': tokenOf('admin', { header: { typ: undefined } }),
  'another issuer': tokenOf('admin', { claims: { iss: 'elsewhere' } }),
  'issuers in a list': tokenOf('admin', { claims: { iss: ['cleave'] } }),
  'no issuer': tokenOf('admin', { claims: { iss: undefined } }),
  'another audience': tokenOf('admin', { claims: { aud: 'elsewhere' } }),
  'no audience': tokenOf('admin', { claims: { aud: undefined } }),
  'an expiry in the past': tokenOf('admin', { claims: { exp: now - 1 } }),
  'no expiry': tokenOf('admin', { claims: { exp: undefined } }),
  'an expiry that is no number': tokenOf('admin', { claims: { exp: '9999999999' } }),
  'a generation that is no number': tokenOf('admin', { claims: { gen: '9' } }),
  'a generation that is no whole number': tokenOf('admin', { claims: { gen: 1.5 } }),
  'a generation that is nothing': tokenOf('admin', { claims: { gen: null } }),
  'a time before which it is not valid': tokenOf('admin', { claims: { nbf: now + 600 } }),
  'no user': tokenOf('admin', { claims: { sub: undefined } }),
  'an empty user': tokenOf('admin', { claims: { sub: '' } }),
  'a user that is no text': tokenOf('admin', { claims: { sub: { id: 1 } } }),
  'an unknown role': tokenOf('admin', { claims: { role: 'root' } }),
  'roles in a list': tokenOf('admin', { claims: { role: ['admin'] } }),
  'no role': tokenOf('admin', { claims: { role: undefined } }),
  'more than 4 KiB': tokenOf('admin', { claims: { padding: 'x'.repeat(4_096) } }),
};

t.test('tokens', async (t) => {
  const server = await testServer(t, { routes });

  await t.test('a good token names the actor, on every request', async (t) => {
    const token = tokenOf('customer', { claims: { sub: 'user-1' } });
    for (let i = 0; i < 3; i++) t.same((await server.request('GET', '/api/v1/mine', { token })).body, { id: 'user-1', role: 'customer' });
    t.equal(
      (await server.request('GET', '/api/v1/mine', { headers: { authorization: `bearer ${token}` } })).status,
      200,
      'schemes are case-insensitive',
    );
  });

  for (const [what, token] of Object.entries(refused)) {
    await t.test(`refused: ${what}`, async (t) => {
      for (const path of ['/api/v1/admin', '/api/v1/maybe']) {
        const { status, body, headers } = await server.request('GET', path, { token });
        t.equal(status, 401);
        t.match(body, { code: 'UNAUTHENTICATED' });
        t.equal(headers.get('www-authenticate'), 'Bearer error="invalid_token"');
      }
      t.same(
        (await server.request('GET', '/api/v1/open', { token })).body,
        { actor: null },
        'where anyone may call, no token is looked at',
      );
    });
  }

  await t.test('other schemes are refused', async (t) => {
    const token = tokenOf('admin');
    for (const authorization of ['Basic YWRtaW46YWRtaW4=', 'Bearer', `Token ${token}`, token, `Bearer ${token} x`]) {
      t.equal((await server.request('GET', '/api/v1/admin', { headers: { authorization } })).status, 401);
    }
  });

  await t.test('without a token: 401, or nobody where it is optional', async (t) => {
    const { status, headers } = await server.request('GET', '/api/v1/mine');
    t.equal(status, 401);
    t.equal(headers.get('www-authenticate'), 'Bearer');
    t.same((await server.request('GET', '/api/v1/maybe')).body, { actor: null });
    t.match((await server.request('GET', '/api/v1/maybe', { token: tokenOf('support') })).body, { actor: { role: 'support' } });
  });

  await t.test('the wrong role is 403', async (t) => {
    const { status, body } = await server.request('GET', '/api/v1/admin', { token: tokenOf('customer') });
    t.equal(status, 403);
    t.match(body, { code: 'FORBIDDEN' });
  });

  await t.test('who asks counts before what is asked: 401, then 403, then 400', async (t) => {
    const bad = { body: '{"a":', headers: { 'content-type': 'text/plain' } };
    t.equal((await server.request('POST', '/api/v1/strict', bad)).status, 401);
    t.equal((await server.request('POST', '/api/v1/strict', { ...bad, token: tokenOf('customer') })).status, 403);
    t.equal((await server.request('POST', '/api/v1/strict', { token: tokenOf('admin'), body: { a: 'x' } })).status, 400);
  });

  await t.test('private replies are not stored on the way', async (t) => {
    t.equal((await server.request('GET', '/api/v1/mine', { token: tokenOf('customer') })).headers.get('cache-control'), 'no-store');
    t.equal((await server.request('GET', '/api/v1/open')).headers.get('cache-control'), null);
  });

  await t.test('a remembered token is forgotten when it expires', async (t) => {
    const token = tokenOf('customer', { claims: { exp: Math.floor(Date.now() / 1_000) + 1 } });
    t.equal((await server.request('GET', '/api/v1/mine', { token })).status, 200);
    t.equal((await untilStatus(401, async () => server.request('GET', '/api/v1/mine', { token }))).status, 401);
  });

  t.notMatch(JSON.stringify(server.lines), tokenOf('admin').slice(0, 60), 'no token is logged');
});

t.test('keys', async (t) => {
  await t.test('are asked for at the first token, and again for an unknown key, once a second at most', async (t) => {
    let asked = 0;
    const server = await testServer(t, { routes, tokenKeys: async () => ({ keys: [key.published], asked: (asked += 1) }) as KeySet });
    t.equal(asked, 0);
    await Promise.all(Array.from({ length: 10 }, async () => server.request('GET', '/api/v1/mine', { token: tokenOf('customer') })));
    t.equal(asked, 1);
    const guesses = Array.from({ length: 30 }, (_, i) => tokenOf('customer', { header: { kid: `made-up-${i}` } }));
    await Promise.all(guesses.map(async (token) => server.request('GET', '/api/v1/mine', { token })));
    t.ok(asked <= 2, `asked ${asked} times`);
  });

  await t.test('rotate: a new key is known at once, an old one until it is withdrawn', async (t) => {
    const next = testKey('key-2');
    let published: TokenKey[] = [key.published];
    const server = await testServer(t, { routes, tokenKeys: async () => ({ keys: published }) });
    const ask = async (token: string) => server.request('GET', '/api/v1/mine', { token });
    const get = async (token: string) => (await ask(token)).status;
    const oldToken = tokenOf('customer');
    const newToken = tokenOf('customer', { key: next });
    t.equal(await get(oldToken), 200);
    t.equal(await get(newToken), 401);
    published = [next.published, key.published];
    t.equal((await untilStatus(200, async () => ask(newToken))).status, 200);
    t.equal(await get(oldToken), 200);
    published = [next.published];
    t.equal(await get(oldToken), 200, 'nobody has asked yet');
    const afterAsking = async () => {
      await ask(tokenOf('customer', { key: unknown }));
      return ask(oldToken);
    };
    t.equal((await untilStatus(401, afterAsking)).status, 401, 'a remembered token goes with its key');
    t.equal(await get(newToken), 200);
  });

  await t.test('that cannot be asked for make it 503, not 401', async (t) => {
    let down = true;
    const tokenKeys = async (): Promise<KeySet> => {
      if (down) throw new Error('users is down');
      return { keys: [key.published] };
    };
    const server = await testServer(t, { routes, tokenKeys });
    const { status, body, headers } = await server.request('GET', '/api/v1/mine', { token: tokenOf('customer') });
    t.equal(status, 503);
    t.match(body, { code: 'UNAVAILABLE' });
    t.ok(headers.get('retry-after'));
    t.notMatch(JSON.stringify(body), 'users is down');
    t.equal((await server.request('GET', '/api/v1/open')).status, 200, 'who needs no token is served');
    down = false;
    t.equal((await server.request('GET', '/api/v1/mine', { token: tokenOf('customer') })).status, 200);
  });

  await t.test('that are not for RS256, or too short, verify nothing', async (t) => {
    const short = testKey('short', 1024);
    const elsewhere = testKey('other-alg');
    const encryption = testKey('for-encryption');
    const keys = [
      short.published,
      { ...elsewhere.published, alg: 'RS512' },
      { ...encryption.published, use: 'enc' },
      { ...key.published, kid: 'broken', n: '!' },
      key.published,
    ];
    const server = await testServer(t, { routes, tokenKeys: async () => ({ keys }) });
    const get = async (token: string) => (await server.request('GET', '/api/v1/mine', { token })).status;
    for (const weak of [short, elsewhere, encryption]) t.equal(await get(tokenOf('customer', { key: weak })), 401);
    t.equal((await server.request('GET', '/api/v1/mine', { token: tokenOf('customer') })).status, 200, 'the others still do');
    t.same(server.lines.filter(({ level }) => level === 'warn').map(({ kid }) => kid), ['short', 'other-alg', 'for-encryption', 'broken']);
  });
});

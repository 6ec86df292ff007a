/** What a hostile client sends where something else is asked for. */

const texts = [
  '', ' ', '\t', 'a\u0000b', 'x\ud83d', '\ud800', 'a\r\nBcc: b@example.com', '\u202etxt', '💥'.repeat(70), 'x'.repeat(6_000),
  '<script>alert(1)</script>', `'; drop table users; --`, '${7*7}', '{{7*7}}', '%s%n', '../../etc/passwd',
  '__proto__', 'constructor', 'null', 'NaN', 'Infinity', '-1', '0x10', '1e309', '2026-02-30T00:00:00Z',
];

const numbers = [0, -0, -1, 0.1, 1.5, 1_001, 1e15, 2 ** 53, 1e308];

export const oddities: readonly unknown[] = [null, true, [], [[]], [null], {}, { amount: 1 }, { $ne: null }, { toString: 1 }, ...numbers, ...texts];

/** Bodies that are no JSON, or JSON of no kind that is taken. */
export const rawBodies = [
  '', '{', '[]', 'null', '"text"', '{"a":1}{', '\ufeff{}', '{"a":1e999}', '{"a":"\\ud800"}', '{"a":"\\u0000"}',
  '{"__proto__":{"admin":true}}', '{"constructor":{"prototype":{}}}',
  `${'['.repeat(5_000)}${']'.repeat(5_000)}`, `{"a":"${'x'.repeat(110_000)}"}`,
];

export const contentTypes = [
  'application/json', 'application/json; charset=utf-8', 'application/json, text/plain', 'text/plain',
  'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', ';',
];

export const pathSegments = [
  '1', 'undefined', '__proto__', "';--", '%00', '%zz', '%ED%A0%80', '..%2f..', '%F0%9F%92%A5', 'a'.repeat(101), '0198C2F4-6A7E-7CC3-9C1E-2F6F1F6B8A10',
];

export const queryParts = [
  'limit=1&limit=2', 'unknown=1', '__proto__=1', 'a[b]=c', '%00', '%zz=1', '&&', '=', 'cursor=%F0%9F%92%A5', 'q=%ED%A0%80',
];

/** Of the headers that routes name. */
export const headerValues = ['k-1', 'k-2', '*', '"x"', ' ', 'a b', 'x'.repeat(255), 'x'.repeat(300), '\u00e4', `'; --`];

/** Headers that nobody asked for. */
export const noise: readonly Readonly<Record<string, string>>[] = [
  {}, {}, { traceparent: '00-zz' }, { 'x-request-id': 'a b' }, { accept: 'text/html' }, { 'content-encoding': 'gzip' },
  { 'x-http-method-override': 'DELETE' }, { 'x-forwarded-for': `'; --` },
];

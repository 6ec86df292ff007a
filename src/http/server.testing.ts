/** For the tests beside: a real server on a free port with routes of a test's own, and keys that sign tokens for it. */
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Test } from 'tap';
import type { Role } from '../calls/call.ts';
import { createLog, type LogLevel } from '../log/log.ts';
import { createMetrics, type Metrics } from '../metrics/metrics.ts';
import { uuidv7 } from '../uuid.ts';
import type { TokenIssuer } from './auth.ts';
import { exchangeBytes, type Manner } from './raw.testing.ts';
import type { RoutesPlugin } from './route.ts';
import { createHttpServer, type HttpServerOptions } from './server.ts';
import { type KeySet, TOKEN_ALGORITHM, TOKEN_AUDIENCE, TOKEN_ISSUER, TOKEN_TYPE, type TokenKey } from './token-claims.ts';
import type { Withdrawals } from './withdrawn-tokens.ts';

export interface TestKey {
  readonly kid: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly published: TokenKey;
}

export function testKey(kid: string, modulusLength = 2048): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  return { kid, privateKey, publicKey, published: { kty: 'RSA', kid, use: 'sig', alg: TOKEN_ALGORITHM, n, e } };
}

export const key = testKey('key-1');

interface TokenChanges {
  readonly header?: Record<string, unknown>;
  readonly claims?: Record<string, unknown>;
  readonly key?: TestKey;
}

/** A valid token of an hour, but for what is changed; a change to undefined takes a claim away. */
export function tokenOf(role: Role, { header, claims, key: signer = key }: TokenChanges = {}): string {
  const now = Math.floor(Date.now() / 1_000);
  const input = [
    { alg: TOKEN_ALGORITHM, typ: TOKEN_TYPE, kid: signer.kid, ...header },
    { iss: TOKEN_ISSUER, aud: TOKEN_AUDIENCE, sub: uuidv7(), role, iat: now, exp: now + 3_600, ...claims },
  ].map(segment);
  const signature = createSign('SHA256').update(input.join('.')).sign(signer.privateKey, 'base64url');
  return `${input.join('.')}.${signature}`;
}

export function segment(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

export interface TestServer {
  readonly app: FastifyInstance;
  readonly url: string;
  readonly metrics: Metrics;
  /** The log's lines so far, parsed. */
  readonly lines: Record<string, unknown>[];
  request(method: string, path: string, init?: RequestChanges): Promise<TestReply>;
  /** Writes bytes to a new connection and returns all that comes back. */
  raw(bytes: string, manner?: Manner): Promise<string>;
}

interface RequestChanges {
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
  /** A string is sent as it is, anything else as JSON. */
  readonly body?: unknown;
}

export interface TestReply {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look at what they expect
  readonly body: any;
}

type ServerChanges = Partial<Omit<HttpServerOptions, 'settings' | 'tokenIssuer'>> & {
  readonly tokenKeys?: TokenIssuer['keys'];
  readonly withdrawals?: TokenIssuer['withdrawals'];
  readonly routes?: RoutesPlugin;
  readonly errors?: HttpServerOptions['modules'][number]['errors'];
  readonly settings?: Partial<HttpServerOptions['settings']>;
  readonly level?: LogLevel;
};

interface TestScope {
  teardown(action: () => unknown): void;
}

/** Starts a server with one module, `shop`; it is closed with the test. */
export async function testServer(t: TestScope, init: ServerChanges = {}): Promise<TestServer> {
  const { routes, errors = {}, settings, level = 'debug', tokenKeys = publishKey, withdrawals = withdrawNothing, ...changes } = init;
  const lines: Record<string, unknown>[] = [];
  const metrics = createMetrics();
  const app = await createHttpServer({
    log: createLog(level, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
    metrics,
    settings: { TRUST_PROXY: 'false', ...settings },
    tokenIssuer: { keys: tokenKeys, withdrawals },
    modules: [{ name: 'shop', summary: 'A module of a test.', errors, routes, health: () => 'healthy' }],
    ready: () => ({ ready: true, reasons: [] }),
    enter: () => () => undefined,
    ...changes,
  });
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  t.teardown(async () => app.close());
  const request: TestServer['request'] = async (...what) => send(url, ...what);
  return { app, url, metrics, lines, request, raw: async (bytes, manner) => exchangeBytes(url, bytes, manner) };
}

async function publishKey(): Promise<KeySet> {
  return { keys: [key.published] };
}

async function withdrawNothing(): Promise<Withdrawals> {
  return { withdrawn: [], next: '', more: false };
}

/** Asserts that a reply is the problem `code`, complete and of the right type. */
export function isProblem(t: Pick<Test, 'equal' | 'match'>, reply: TestReply, status: number, code: string): void {
  t.equal(reply.status, status, `${code} answers ${status}`);
  t.equal(reply.headers.get('content-type'), 'application/problem+json');
  t.match(reply.body, { type: `urn:cleave:problem:${code}`, title: String, status, detail: String, instance: /^\//, code });
  t.match(reply.body.traceId, /^[0-9a-f]{32}$/);
}

/** Asks again until the answer has the status, or five seconds are over; resolves with the last answer. */
export async function untilStatus(status: number, ask: () => Promise<TestReply>): Promise<TestReply> {
  const deadline = Date.now() + 5_000;
  let reply = await ask();
  while (reply.status !== status && Date.now() < deadline) reply = await ask();
  return reply;
}

/** How many requests are taken at a time, from the text of `/metrics`. */
export function openRequestsLimit(metrics: string): number {
  return Number(/^cleave_open_requests_limit (\S+)$/m.exec(metrics)![1]!.replace('+Inf', 'Infinity'));
}

async function send(url: string, method: string, path: string, { token, headers, body }: RequestChanges = {}): Promise<TestReply> {
  const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(text !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(text !== undefined && { body: text }),
  });
  const answer = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') ?? false;
  return { status: response.status, headers: response.headers, body: isJson && answer !== '' ? JSON.parse(answer) : answer };
}

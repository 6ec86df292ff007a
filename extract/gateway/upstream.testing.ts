/** A gateway in front of services that do whatever a test wants, in the raw. */
import { createServer, type IncomingMessage, type RequestListener, request, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Type } from '@sinclair/typebox';
import type { TestScope } from '#testing';
import { defineContract } from '../../src/contract/contract.ts';
import { type AnyModule, defineModule } from '../../src/module.ts';
import { staticDiscovery } from '../../src/wire/discovery.ts';
import type { Gateway } from './gateway.ts';
import { testGateway } from './services.testing.ts';

const OPEN = { responses: {} };
const NEEDS_TOKEN = { ...OPEN, security: [{ bearer: [] }] };

/** What the service of `things` says of its routes. */
const document = {
  paths: {
    '/api/v1/things': { get: OPEN, post: OPEN },
    '/api/v1/things/{id}': { get: NEEDS_TOKEN },
    '/api/v1/things/search': { get: { ...OPEN, security: [{}, { bearer: [] }] } },
    '/.well-known/things': { get: OPEN },
  },
};

export function moduleOf(name: string, paths: readonly string[]): AnyModule {
  const contract = defineContract({ name, version: 1, summary: `The ${name} of a test.`, errors: {}, operations: {}, events: {} });
  return defineModule({ contract, dependencies: {}, consumes: {}, paths, settings: Type.Object({}), entities: [], setup: () => ({ operations: {} }) });
}

export const things = moduleOf('things', ['/things', '/.well-known/things']);

/** A service that answers as told. @returns its origin */
export async function service(t: TestScope, answer: RequestListener, { documented = true } = {}): Promise<string> {
  const server = createServer((incoming, reply) => {
    if (incoming.url === '/openapi.json') reply.writeHead(documented ? 200 : 503, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    else answer(incoming, reply);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export { nobody as deadOrigin } from '../../src/wire/fixtures.testing.ts';

export async function gatewayTo(t: TestScope, origins: readonly string[], settings: Readonly<Record<string, string>> = {}): Promise<Gateway> {
  return testGateway(t, { publicly: staticDiscovery({ things: origins }), modules: [things], settings, bodyLimit: 64 * 1024 * 1024 });
}

/** Begins a request by hand; whoever sends a body ends it. */
export function begin(url: string, method: string, headers: Readonly<Record<string, string>> = {}) {
  const sent = request(url, { method, headers });
  // What is given up fails without anybody waiting for it; whoever reads an answer hears of it all the same.
  const answer = once(sent, 'response').then(([incoming]) => (incoming as IncomingMessage).on('error', () => undefined));
  answer.catch(() => undefined);
  sent.on('error', () => undefined);
  return { sent, answer };
}

/** Resolves with the next request that a service gets, and its reply. */
export class Doorman {
  #next = Promise.withResolvers<[IncomingMessage, ServerResponse]>();

  readonly answer: RequestListener = (incoming, reply) => this.#next.resolve([incoming, reply]);

  async next(): Promise<[IncomingMessage, ServerResponse]> {
    const arrived = await this.#next.promise;
    this.#next = Promise.withResolvers();
    return arrived;
  }
}

/** The same callee behind a client in this process, and behind one over a real wire: what contract tests run in. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { request } from 'undici';
import { type Callee, type CallRecorder, inProcessClient } from '../calls/in-process.ts';
import type { Contract } from '../contract/contract.ts';
import type { Client } from '../contract/types.ts';
import type { TestScope } from '../testing/scope.ts';
import { CalleeGuard } from './callee-guard.ts';
import { staticDiscovery } from './discovery.ts';
import { createInternalServer, type Served } from './internal-server.ts';
import { remoteClient } from './remote-client.ts';
import { Replicas } from './replicas.ts';
import { ServiceTokens } from './service-tokens.ts';

export const TEST_SECRET = 'a secret of the tests that is long enough';
const log = pino({ level: 'silent' });
const unrecorded = (): CallRecorder => ({ observe: () => undefined });

/** Makes the client of a callee for the caller `test`. */
export type Placement = <C extends Contract>(contract: C, callee: Callee, recorder?: CallRecorder) => Promise<Client<C>>;

/** @param t stops what was started */
export function placements(t: TestScope): Readonly<Record<string, Placement>> {
  return {
    'as copies': async (contract, callee, recorder) => inProcess(contract, callee, false, recorder),
    'through JSON': async (contract, callee, recorder) => inProcess(contract, callee, true, recorder),
    'over the wire': async (contract, callee, recorder) => overTheWire(t, contract, await serve(t, callee), recorder),
    'over the wire, each request twice': async (contract, callee, recorder) => overTheWire(t, contract, await doubling(t, await serve(t, callee)), recorder),
  };
}

function inProcess<C extends Contract>(contract: C, callee: Callee, wire: boolean, recorder = unrecorded()): Client<C> {
  return inProcessClient(contract, () => callee, { caller: 'test', wire, recorder: () => recorder });
}

/** What a service serves of one callee. */
export function servedOf(callee: Callee, rest: Partial<Served> = {}): Served {
  const client = (caller: string) => inProcessClient(callee.contract, () => callee, { caller, wire: false, recorder: unrecorded });
  return { contract: callee.contract, callers: new Set(['test']), publishers: new Set(), subscribers: [], client, handle: async () => [], ...rest };
}

/** @returns the origin of an internal listener */
export async function serve(t: TestScope, callee: Callee): Promise<string> {
  const server = await createInternalServer({ modules: [servedOf(callee)], tokens: new ServiceTokens(TEST_SECRET), log });
  t.teardown(() => server.close());
  return server.listen({ host: '127.0.0.1', port: 0 });
}

export function overTheWire<C extends Contract>(t: TestScope, contract: C, origins: string | readonly string[], recorder = unrecorded(), guard = new CalleeGuard(contract.name, () => undefined)): Client<C> {
  const replicas = new Replicas(staticDiscovery({ [contract.name]: [origins].flat() }));
  t.teardown(() => replicas.close());
  return remoteClient(contract, { caller: 'test', replicas, guard, tokens: new ServiceTokens(TEST_SECRET), log, tracing: undefined, recorder: () => recorder });
}

/** A line that delivers every request twice, one after the other, and hands on the second answer, unless that was not taken. @returns its origin */
async function doubling(t: TestScope, origin: string): Promise<string> {
  const line = createServer((incoming, outgoing) => {
    const gone = new AbortController();
    outgoing.on('close', () => gone.abort());
    const forward = async (): Promise<void> => {
      const body = await text(incoming);
      const headers = Object.fromEntries(Object.entries(incoming.headers).filter(([name]) => !['connection', 'host', 'content-length'].includes(name))) as Record<string, string>;
      const send = async () => request(`${origin}${incoming.url}`, { method: 'POST', headers, body, signal: gone.signal });
      const [first, second] = [await read(await send()), await read(await send())];
      const answer = second.status === 503 ? first : second;
      outgoing.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    };
    forward().catch(() => outgoing.destroy());
  });
  const read = async ({ statusCode: status, body }: Awaited<ReturnType<typeof request>>) => ({ status, body: await body.text() });
  line.listen(0, '127.0.0.1');
  await once(line, 'listening');
  t.teardown(() => void line.close());
  return `http://127.0.0.1:${(line.address() as AddressInfo).port}`;
}

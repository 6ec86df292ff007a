/** A small module to call, and peers that misbehave. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { Type } from '@sinclair/typebox';
import { pino } from 'pino';
import type { Call } from '../calls/call.ts';
import { Gate } from '../calls/gate.ts';
import type { Callee } from '../calls/in-process.ts';
import { command, defineContract, query } from '../contract/contract.ts';
import { strict } from '../contract/schemas.ts';
import type { TestScope } from '../testing/scope.ts';

export const till = defineContract({
  name: 'till',
  version: 1,
  summary: 'Counts what is put into it.',
  errors: { FULL: { status: 409, title: 'Full', remedy: 'Empty it.' } },
  operations: {
    count: query({ version: 1, summary: 'What is in it.', deadlineMs: 5_000, input: strict({}), output: strict({ n: Type.Integer() }) }),
    set: command({ version: 1, summary: 'Sets what is in it.', idempotent: true, deadlineMs: 5_000, input: strict({ n: Type.Integer() }), output: strict({ n: Type.Integer() }), errors: ['FULL'] }),
    put: command({ version: 1, summary: 'Puts one more into it.', idempotent: false, deadlineMs: 5_000, input: strict({}), output: strict({ n: Type.Integer() }) }),
  },
  events: {},
});

/** @param during runs while an operation is at work, after its effect */
export function tillCallee(during: (operation: string, call: Call) => Promise<void> | void = () => undefined): Callee & { readonly state: { n: number; calls: number } } {
  const state = { n: 0, calls: 0 };
  const at = async (operation: string, call: Call, change: () => void) => {
    state.calls += 1;
    change();
    await during(operation, call);
    return { n: state.n };
  };
  const operations = {
    count: async (_input: object, call: Call) => at('count', call, () => undefined),
    set: async ({ n }: { n: number }, call: Call) => at('set', call, () => void (state.n = n)),
    put: async (_input: object, call: Call) => at('put', call, () => void (state.n += 1)),
  };
  return { contract: till, operations: operations as never, gate: new Gate('till'), log: pino({ level: 'silent' }), state };
}

/** A server that answers as it is told. @returns its origin, and the server */
export async function peer(t: TestScope, answer: RequestListener): Promise<{ origin: string; server: Server }> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

/** An origin at which nobody listens. */
export async function nobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

/**
 * What those who run the shop ask of one module's events, as operations that a process elsewhere can ask for, too: an outbox and an inbox lie in
 * the database of their module, which nobody else reaches. Answered by the kernel for each module that it hosts, beside the module's
 * own contract and under the same name.
 */
import { Type } from '@sinclair/typebox';
import { Gate } from '../calls/gate.ts';
import { inProcessClient } from '../calls/in-process.ts';
import { command, type Contract, defineContract, query } from '../contract/contract.ts';
import { OneOf, strict, Timestamp, Uuid } from '../contract/schemas.ts';
import type { Client, Operations } from '../contract/types.ts';
import { handledOf, owedBy } from '../events/backlog.ts';
import { deadLetters, redrive } from '../events/dead-letters.ts';
import { findReplay, requestReplay } from '../events/replay.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { ModuleHost } from './module-host.ts';

const count = Type.Integer({ minimum: 0 });
const Time = Type.Union([Type.String(), Type.Null()]);
const Envelope = Type.Object({
  id: Uuid,
  type: Type.String(),
  aggregateId: Type.String(),
  occurredAt: Type.String(),
  data: Type.Unknown(),
  traceparent: Type.String(),
  tracestate: Type.Optional(Type.String()),
  requestId: Type.String(),
});
const DeadLetter = strict({ subscriber: Type.String(), event: Envelope, attempts: count, error: Time, parkedAt: Timestamp });
const Replay = strict({
  id: Uuid,
  subscriber: Type.String(),
  type: Type.String(),
  from: Type.String(),
  replayed: count,
  status: OneOf(['running', 'finished']),
  requestedAt: Type.String(),
  keptSince: Type.String(),
  finishedAt: Time,
});

const operations = {
  eventsOwed: query({
    version: 1,
    summary: 'What of the module\'s outbox a subscriber has not been handed, or could not handle.',
    input: strict({ subscriber: Type.String(), types: Type.Array(Type.String()) }),
    output: strict({ retrying: count, dead: count, oldestRetried: Time, waiting: count, oldest: Type.Array(strict({ id: Uuid, at: Type.String() })) }),
  }),
  eventsHandled: query({
    version: 1,
    summary: 'Which of these events a subscriber of the module has handled.',
    input: strict({ subscriber: Type.String(), eventIds: Type.Array(Uuid) }),
    output: strict({ eventIds: Type.Array(Uuid) }),
  }),
  listDeadLetters: query({
    version: 1,
    summary: 'Events of the module that a subscriber could not handle after the last try, oldest first.',
    input: strict({ subscriber: Type.Optional(Type.String()), after: Type.Optional(strict({ eventId: Uuid, subscriber: Type.String() })), limit: Type.Integer({ minimum: 1, maximum: 101 }) }),
    output: strict({ items: Type.Array(DeadLetter) }),
  }),
  // Not idempotent: whoever repeats it is told of none that were redriven.
  redriveDeadLetters: command({
    version: 1,
    idempotent: false,
    summary: 'Gives dead letters of the module another full round of tries.',
    input: strict({ subscriber: Type.Optional(Type.String()), eventIds: Type.Optional(Type.Array(Uuid)) }),
    output: strict({ eventIds: Type.Array(Uuid) }),
  }),
  requestReplay: command({
    version: 1,
    idempotent: false,
    summary: 'Asks for events of the module to be handed to a subscriber again.',
    input: strict({ subscriber: Type.String(), type: Type.String(), from: Type.String() }),
    output: Replay,
  }),
  findReplay: query({
    version: 1,
    summary: 'How far a replay of the module\'s events is.',
    input: strict({ id: Uuid }),
    output: strict({ replay: Type.Union([Replay, Type.Null()]) }),
  }),
};

export function eventDeskContract(module: string) {
  return defineContract({ name: module, version: 1, summary: 'The events of a module, for those who run the shop.', errors: {}, operations, events: {} });
}

export type EventDeskContract = ReturnType<typeof eventDeskContract>;
export type EventDesk = Client<EventDeskContract>;

/** The desk of a module in this process. */
export function eventDesk({ db, outbox: { schema } }: ModuleHost): Operations<EventDeskContract> {
  return {
    eventsOwed: async ({ subscriber, types }, call) => owedBy(db.for(call), schema, subscriber, types),
    eventsHandled: async ({ subscriber, eventIds }, call) => ({ eventIds: await handledOf(db.for(call), schema, subscriber, eventIds) }),
    listDeadLetters: async (wanted, call) => ({ items: await deadLetters(db.for(call), schema, wanted) }),
    redriveDeadLetters: async (which, call) => ({ eventIds: await redrive(db.for(call), schema, which) }),
    requestReplay: async (wanted, call) => requestReplay(db.for(call), schema, wanted),
    findReplay: async ({ id }, call) => ({ replay: (await findReplay(db.for(call), schema, id)) ?? null }),
  };
}

/** The same for a caller elsewhere, as the internal listener serves it. The desk is open while the process is: it has no business to hold back. */
export function servedDesk(module: ModuleHost, metrics: Metrics, caller: string): Client<Contract> {
  const contract = eventDeskContract(module.module);
  const callee = { contract, operations: eventDesk(module), gate: new Gate(module.module), log: module.log };
  return inProcessClient(contract, () => callee, { caller, wire: false, recorder: (operation) => metrics.operation(module.module, operation, caller) }) as unknown as Client<Contract>;
}

/** The routes of those who look after the shop's events. For administrators alone. */
import { Type } from '@sinclair/typebox';
import { CallError } from '../contract/errors.ts';
import { OneOf, Page, PageQuery, strict, Timestamp, Uuid } from '../contract/schemas.ts';
import type { DeadLetter, Place } from '../events/dead-letters.ts';
import { decodeCursor, encodeCursor } from '../http/cursor.ts';
import type { RouteApp, RoutesPlugin } from '../http/route.ts';
import type { EventOperations } from './event-operations.ts';

const SUBSCRIBER = { pattern: '^[\\w.-]{1,200}$', description: '`<module>.<name>`' };
const count = (description: string) => Type.Integer({ minimum: 0, description });
const seconds = (description: string) => Type.Number({ minimum: 0, description });

const Subscriber = strict({
  subscriber: Type.String(),
  types: Type.Array(Type.String(), { description: 'Events that it handles' }),
  backlog: count('Events that it has yet to handle, those that are being retried included'),
  retrying: count('Those of them that failed, or wait for one of their aggregate that failed'),
  dead: count('Dead letters'),
  lagSeconds: seconds('Age of the oldest event that has not been tried yet: how far delivery is behind'),
  oldestAgeSeconds: seconds('Age of the oldest event that it has yet to handle'),
});
const Event = strict({ id: Uuid, type: Type.String(), aggregateId: Type.String(), occurredAt: Timestamp, data: Type.Object({}, { additionalProperties: true }), requestId: Type.String(), traceparent: Type.String() });
const DeadLetterReply = strict({
  subscriber: Type.String(),
  event: Event,
  attempts: count('Tries that it had'),
  error: Type.Union([Type.String(), Type.Null()], { description: 'What the last try failed with' }),
  parkedAt: Timestamp,
});
const ReplayReply = strict({
  id: Uuid,
  subscriber: Type.String(),
  type: Type.String(),
  from: Timestamp,
  replayed: count('Events that have been handed over so far; the subscriber\'s inbox decides which of them are new to it'),
  status: OneOf(['running', 'finished']),
  requestedAt: Timestamp,
  keptSince: Type.String({ ...Timestamp, description: 'Events that all their subscribers had handled before are not kept: the replay is without them, whatever `from` says' }),
  finishedAt: Type.Union([Timestamp, Type.Null()]),
});

const access = ['admin'] as const;

/** @param operations knows all subscribers by now: the document shows one that exists */
export function eventRoutes(operations: EventOperations): RoutesPlugin {
  return async (app) => {
    subscriberRoute(app, operations);
    deadLetterRoutes(app, operations);
    replayRoutes(app, operations);
  };
}

function subscriberRoute(app: RouteApp, operations: EventOperations): void {
  app.get(
    '/admin/events/subscribers',
    {
      config: { access },
      schema: { operationId: 'listSubscribers', summary: 'Every subscriber, and how far it is behind.', response: { 200: strict({ subscribers: Type.Array(Subscriber) }) } },
    },
    async (request) => ({ subscribers: await operations.subscribers(request.call) }),
  );
}

function deadLetterRoutes(app: RouteApp, operations: EventOperations): void {
  app.get(
    '/admin/events/dead-letters',
    {
      config: { access },
      schema: {
        operationId: 'listDeadLetters',
        summary: 'Events that a subscriber could not handle after the last try, oldest first.',
        querystring: strict({ ...PageQuery, subscriber: Type.Optional(Type.String(SUBSCRIBER)) }),
        response: { 200: Page(DeadLetterReply) },
      },
    },
    async (request) => {
      const { limit = 20, cursor, subscriber } = request.query;
      const found = await operations.deadLetters({ subscriber, after: placeOf(cursor), limit: limit + 1 }, request.call);
      const items = found.slice(0, limit);
      const last = found.length > limit ? items.at(-1)! : undefined;
      return { items: items.map(deadLetterReply), nextCursor: last ? encodeCursor([last.event.id, last.subscriber]) : null };
    },
  );

  app.post(
    '/admin/events/dead-letters/redrive',
    {
      config: { access },
      schema: {
        operationId: 'redriveDeadLetters',
        summary: 'Gives dead letters another full round of tries: those of some events, or all.',
        description: 'Repeating it does no harm: what is no dead letter any more is named in `notFound`. With `subscriber` only that one\'s are meant.',
        body: strict({
          eventIds: Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: 100 })),
          all: Type.Optional(Type.Boolean({ description: 'In the place of `eventIds`' })),
          subscriber: Type.Optional(Type.String(SUBSCRIBER)),
        }),
        response: { 200: strict({ redriven: count('Dead letters that are tried again'), notFound: Type.Array(Uuid) }) },
      },
    },
    async (request) => operations.redrive(request.body, request.call),
  );
}

function replayRoutes(app: RouteApp, operations: EventOperations): void {
  const [known] = operations.subscriptions;
  const examples = <T>(example: T | undefined) => (example === undefined ? {} : { examples: [example] });
  app.post(
    '/admin/events/replays',
    {
      config: { access, errors: ['SUBSCRIBER_NOT_FOUND', 'EVENT_NOT_HANDLED'] },
      schema: {
        operationId: 'replayEvents',
        summary: 'Hands events of a type, from a time on, to one subscriber again.',
        description: 'Those that it has handled already have no second effect; those that it has not are handled, in order of their aggregate. Events are kept for 7 days after all their subscribers have handled them: there is no going back further.',
        body: strict({ subscriber: Type.String({ ...SUBSCRIBER, ...examples(known?.subscriber) }), type: Type.String({ pattern: SUBSCRIBER.pattern, ...examples(known?.types[0]) }), from: Timestamp }),
        response: { 202: ReplayReply },
      },
    },
    async (request, reply) => reply.code(202).send(await operations.replay(request.body, request.call)),
  );

  app.get(
    '/admin/events/replays/:id',
    {
      config: { access, errors: ['REPLAY_NOT_FOUND'] },
      schema: { operationId: 'getReplay', summary: 'How far a replay is.', params: strict({ id: Uuid }), response: { 200: ReplayReply } },
    },
    async (request) => operations.findReplay(request.params.id, request.call),
  );
}

/** Where a page ended. PostgreSQL fails on some texts, so the subscriber must look like one. */
function placeOf(cursor: string | undefined): Place | undefined {
  const [eventId, subscriber] = decodeCursor(cursor, ['uuid', 'string']) ?? [];
  if (eventId === undefined || subscriber === undefined) return undefined;
  if (!new RegExp(SUBSCRIBER.pattern).test(String(subscriber))) throw new CallError('VALIDATION_FAILED', 'the cursor is not one of this list', { errors: [{ path: '/cursor', message: 'must be a nextCursor of this list' }] });
  return { eventId: String(eventId), subscriber: String(subscriber) };
}

function deadLetterReply({ subscriber, event, attempts, error, parkedAt }: DeadLetter) {
  const { id, type, aggregateId, occurredAt, data, requestId, traceparent } = event;
  return { subscriber, event: { id, type, aggregateId, occurredAt, data: data as Record<string, unknown>, requestId, traceparent }, attempts, error, parkedAt };
}

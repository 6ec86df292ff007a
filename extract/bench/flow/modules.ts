/** The least that an event needs: `sender` writes a row and publishes, `receiver` writes a row for what it is handed. */
import { Type } from '@sinclair/typebox';
import { command, defineContract, defineModule, event, on, strict, Uuid } from '../../../src/kernel.ts';
import type { AnyModule } from '../../../src/module.ts';

export const sender = defineContract({
  name: 'sender',
  version: 1,
  summary: 'Publishes.',
  errors: {},
  operations: {
    send: command({ version: 1, summary: 'Keeps a message and publishes it.', idempotent: false, input: strict({ id: Uuid }), output: strict({ eventId: Uuid }) }),
  },
  events: { sent: event({ version: 1, summary: 'A message was kept.', aggregate: 'id', data: strict({ id: Uuid }) }) },
});

const receiver = defineContract({ name: 'receiver', version: 1, summary: 'Handles.', errors: {}, operations: {}, events: {} });

/** @param onHandled called with the event's id once its handler's transaction has committed */
export function flowModules(onHandled: (eventId: string) => void): AnyModule[] {
  return [senderModule() as unknown as AnyModule, receiverModule(onHandled) as unknown as AnyModule];
}

function senderModule() {
  return defineModule({
    contract: sender,
    dependencies: {},
    consumes: {},
    settings: Type.Object({}),
    entities: [],
    setup: ({ db }) => ({
      operations: {
        async send({ id }, call) {
          return db.transaction({ call }, async (tx) => {
            tx.later('insert into message (id) values ($1)', [id]);
            return { eventId: tx.publish(sender.events.sent, { id }) };
          });
        },
      },
    }),
  });
}

function receiverModule(onHandled: (eventId: string) => void) {
  return defineModule({
    contract: receiver,
    dependencies: {},
    consumes: { sender },
    subscribes: { all: [sender.events.sent] },
    settings: Type.Object({}),
    entities: [],
    setup: () => ({
      operations: {},
      subscribers: [
        {
          name: 'all',
          handlers: [
            on(sender.events.sent, {
              async apply({ id }, tx) {
                tx.later('insert into received (event_id) values ($1)', [id]);
                tx.afterCommit(() => onHandled(id));
              },
            }),
          ],
        },
      ],
    }),
  });
}

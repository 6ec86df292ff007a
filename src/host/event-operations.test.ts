/** What those who run the shop are told where a part of it is away. */
import { Type } from '@sinclair/typebox';
import t from 'tap';
import { Call } from '../calls/call.ts';
import { defineContract } from '../contract/contract.ts';
import { CallError } from '../contract/errors.ts';
import { type AnyModule, defineModule } from '../module.ts';
import type { EventDesk } from './event-desk.ts';
import { EventOperations } from './event-operations.ts';

const modules = ['orders', 'payments'].map((name): AnyModule => {
  const contract = defineContract({ name, version: 1, summary: 'Of a test.', errors: {}, operations: {}, events: {} });
  return defineModule({ contract, dependencies: {}, consumes: {}, settings: Type.Object({}), entities: [], setup: () => ({ operations: {} }) });
});

function operations(redriven: Readonly<Record<string, string[] | undefined>>): EventOperations {
  const desk = (module: string) => ({
    async redriveDeadLetters() {
      const eventIds = redriven[module];
      if (!eventIds) throw new CallError('UNAVAILABLE', `${module} cannot be reached`);
      return { eventIds };
    },
  });
  return new EventOperations(modules, (module) => desk(module) as unknown as EventDesk);
}

const call = () => Call.root('test', 1_000);

t.test('all dead letters are tried again, wherever they lie', async (t) => {
  t.same(await operations({ orders: ['a'], payments: ['b', 'c'] }).redrive({ all: true }, call()), { redriven: 3, notFound: [] });
  t.same(await operations({ orders: ['a'], payments: [] }).redrive({ eventIds: ['A', 'B'] }, call()), { redriven: 1, notFound: ['b'] });
});

t.test('where a part is away, nobody is told that nothing was done unless that is so', async (t) => {
  await t.rejects(operations({ orders: ['a'] }).redrive({ all: true }, call()), { code: 'DEADLINE_EXCEEDED', message: /payments cannot be reached; a part of the work has been done/ });
  await t.rejects(operations({ orders: [] }).redrive({ all: true }, call()), { code: 'UNAVAILABLE' });
  await t.rejects(operations({}).redrive({ all: true }, call()), { code: 'UNAVAILABLE' });
});

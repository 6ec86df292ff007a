import { Type } from '@sinclair/typebox';
import { defineModule } from '#kernel';
import { orders } from '../orders/contract.ts';
import { support } from './contract.ts';
import { orderRecord } from './order-record.ts';
import { supportRoutes } from './routes.ts';
import { Support } from './support.ts';
import { MessageEntity, TicketEntity } from './ticket.ts';

export default defineModule({
  contract: support,
  dependencies: { orders },
  consumes: {},
  subscribes: { 'order-record': [support.events.ticketOpened, support.events.ticketAnswered, support.events.ticketClosed] },
  paths: ['/tickets'],
  settings: Type.Object({}),
  entities: [TicketEntity, MessageEntity],
  setup({ db, clients, log }) {
    const service = new Support({ db, orders: clients.orders });
    return { operations: {}, routes: supportRoutes(service), subscribers: [orderRecord({ orders: clients.orders, log })] };
  },
});

import { defineModule } from '#kernel';
import { Type } from '@sinclair/typebox';
import { orders } from '../orders/contract.ts';
import { payments } from '../payments/contract.ts';
import { support } from '../support/contract.ts';
import { users } from '../users/contract.ts';
import { notifications } from './contract.ts';
import { NotificationEntity } from './notification.ts';
import { createNotifications } from './notifications.ts';
import { OrderReportEntity, orderReports } from './order-report.ts';
import { customerMessages } from './reactions.ts';
import { routes } from './routes.ts';
import { HAND_OVER_MS, IN_HAND, Sender } from './sender.ts';
import { smtpCarrier } from './smtp.ts';

const settings = Type.Object({
  SMTP_URL: Type.Optional(
    Type.String({
      format: 'url',
      protocols: ['smtp', 'smtps'],
      secret: true,
      examples: ['smtp://user:password@mail.example:587'],
      description: 'SMTP server that takes the e-mails. Without it they are kept and shown at /notifications.',
    }),
  ),
  MAIL_FROM: Type.String({
    default: 'Cleave <no-reply@cleave.example>',
    pattern: '^([^\\r\\n<>@,;]+<[^\\s<>@,;]+@[A-Za-z0-9.-]+>|[^\\s<>@,;]+@[A-Za-z0-9.-]+)$',
    expected: 'an e-mail address, or a name with one in angle brackets',
    description: 'Sender of the e-mails; its domain makes their Message-IDs unique.',
  }),
  MAIL_TRIES: Type.Integer({
    default: 24,
    minimum: 1,
    maximum: 1_000,
    description: 'Tries to hand a message over before it is given up; 24 of them take about two hours.',
  }),
  MAIL_RETRY_MS: Type.Integer({
    default: 1_000,
    minimum: 1,
    maximum: 600_000,
    description: 'Pause before the second try in ms; doubles with each further one, up to ten minutes.',
  }),
});

export default defineModule({
  contract: notifications,
  dependencies: { orders, users },
  consumes: { orders, payments, support },
  subscribes: {
    'customer-messages': [
      orders.events.orderPlaced,
      payments.events.paymentCompleted,
      payments.events.paymentFailed,
      orders.events.orderShipped,
      orders.events.orderCancelled,
      support.events.ticketAnswered,
    ],
  },
  paths: ['/notifications'],
  settings,
  entities: [NotificationEntity, OrderReportEntity],
  setup({ db, clients, settings: { SMTP_URL, MAIL_FROM, MAIL_TRIES, MAIL_RETRY_MS }, log, metrics, inSpan }) {
    const email = SMTP_URL === undefined ? 'kept' : smtpCarrier({ url: SMTP_URL, from: MAIL_FROM, connections: IN_HAND, timeoutMs: HAND_OVER_MS });
    const carriers = { email, sms: 'kept' } as const;
    const sender = new Sender({ db, carriers, log, metrics, inSpan, maxTries: MAIL_TRIES, firstPauseMs: MAIL_RETRY_MS });
    const service = createNotifications({ db, carriers, wake: sender.wake });
    return {
      operations: service.operations,
      routes: routes(service.operations),
      subscribers: [customerMessages(service, clients)],
      tasks: [...sender.tasks, orderReports({ db, orders: clients.orders, log })],
      stop: () => sender.close(),
    };
  },
});

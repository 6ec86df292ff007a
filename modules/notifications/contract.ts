import { defineContract, OneOf, Page, query, strict, Timestamp, Uuid } from '#kernel';
import { Type } from '@sinclair/typebox';

export const Notification = strict({
  id: Uuid,
  channel: OneOf(['email', 'sms']),
  subject: Type.String(),
  body: Type.String(),
  status: OneOf(['queued', 'sent', 'failed']),
  createdAt: Timestamp,
});

export const NotificationPage = Page(Notification);

export const notifications = defineContract({
  name: 'notifications',
  version: 1,
  summary: 'Tells customers what happens to their orders and tickets, by e-mail and text, each fact once.',
  errors: {},
  operations: {
    listNotifications: query({
      version: 1,
      summary: 'What was sent to a user, newest first.',
      input: strict({ userId: Uuid, limit: Type.Integer({ minimum: 1, maximum: 100 }), cursor: Type.Optional(Type.String()) }),
      output: NotificationPage,
    }),
  },
  events: {},
});

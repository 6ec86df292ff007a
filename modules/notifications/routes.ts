/** `GET /notifications`: what the caller was told. */
import { actorOf, type Operations, PageQuery, type RoutesPlugin, strict } from '#kernel';
import { NotificationPage, type notifications } from './contract.ts';

export function routes(operations: Operations<typeof notifications>): RoutesPlugin {
  return async (app) => {
    app.get(
      '/notifications',
      {
        config: { access: ['customer', 'support', 'admin'] },
        schema: {
          operationId: 'listNotifications',
          summary: 'The e-mails and texts sent to me, newest first.',
          tags: ['notifications'],
          querystring: strict(PageQuery),
          response: { 200: NotificationPage },
        },
      },
      async (request) => {
        const { limit = 20, cursor } = request.query;
        return operations.listNotifications({ userId: actorOf(request).id, limit, ...(cursor !== undefined && { cursor }) }, request.call);
      },
    );
  };
}

/** The OpenAPI document at `/openapi.json` and Swagger UI over it at `/docs`, all of it from this process. */
import helmet from '@fastify/helmet';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { Exchange, type RouteFacts } from './exchange.ts';

/** Pages load nothing from elsewhere. Requests are not upgraded to https: the shop is tried out over plain http. */
const contentSecurityPolicy = {
  directives: {
    'img-src': ["'self'", 'data:'],
    'script-src': ["'self'"],
    'style-src': ["'self'", "'unsafe-inline'"],
    'font-src': ["'self'"],
    'upgrade-insecure-requests': null,
  },
};

/** @param complete makes the whole document of that of the routes in this process */
export async function serveDocs(app: FastifyInstance, facts: RouteFacts, complete: (own: object) => object = (own) => own): Promise<void> {
  await app.register(async (scope) => {
    scope.addHook('onRequest', openExchange(facts));
    await scope.register(helmet, { contentSecurityPolicy, strictTransportSecurity: false });
    scope.get('/openapi.json', { schema: { hide: true } as object }, (_request, reply) => reply.send(complete(app.swagger())));
    await scope.register(swaggerUi, { routePrefix: '/docs', uiConfig: { displayRequestDuration: true }, transformSpecification: (own) => complete(own) as Record<string, unknown>, transformSpecificationClone: false });
  });
}

function openExchange(facts: RouteFacts): onRequestHookHandler {
  return (request, reply, done) => {
    request.exchange = new Exchange(facts, request, reply);
    reply.header('x-request-id', request.id).header('traceparent', request.exchange.traceparent);
    done();
  };
}

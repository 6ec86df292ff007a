/** What operators ask of a process, whatever modules it hosts. */
import { Type } from '@sinclair/typebox';
import type { Registry } from 'prom-client';
import { OneOf, strict } from '../contract/schemas.ts';
import { RETRY_AFTER_SECONDS } from './problem.ts';
import type { RouteApp, RoutesPlugin } from './route.ts';

export type ModuleHealth = 'healthy' | 'degraded' | 'unhealthy';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in words for an operator. */
  readonly reasons: readonly string[];
}

export interface PlatformState {
  readonly registry: Registry;
  readonly modules: readonly { readonly name: string; health(): ModuleHealth | Promise<ModuleHealth> }[];
  ready(): Readiness | Promise<Readiness>;
}

const HealthReply = strict(
  { status: OneOf(['healthy', 'degraded']), modules: Type.Record(Type.String(), OneOf(['healthy', 'degraded', 'unhealthy'])) },
  { description: 'The process lives', examples: [{ status: 'healthy', modules: { orders: 'healthy' } }] },
);
const ReadyReply = strict(
  { ready: Type.Boolean(), reasons: Type.Array(Type.String()) },
  { description: 'Whether requests should be sent here', examples: [{ ready: false, reasons: ['starting'] }] },
);
const MetricsReply = Type.String({ description: 'Prometheus text' });

const config = { access: 'anyone' } as const;
/** Probes like to add something that keeps caches away: whether the process lives does not depend on it. */
const querystring = Type.Object({}, { additionalProperties: true });
const health = {
  operationId: 'getHealth',
  summary: 'Answers 200 while the process lives, and says how its modules are.',
  querystring,
  response: { 200: HealthReply },
};
const readiness = {
  operationId: 'getReadiness',
  summary: 'Answers 200 when requests should be sent here, else 503.',
  querystring,
  response: { 200: ReadyReply, 503: ReadyReply },
};
const metrics = {
  operationId: 'getMetrics',
  summary: 'Metrics in the Prometheus text format.',
  produces: ['text/plain'],
  response: { 200: MetricsReply },
};

export function platformRoutes(state: PlatformState): RoutesPlugin {
  return async (app) => {
    healthRoutes(app, state);
    app.get('/metrics', { config, schema: metrics }, async (_request, reply) => {
      const { registry } = state;
      return reply.header('content-type', registry.contentType).send(await registry.metrics());
    });
  };
}

function healthRoutes(app: RouteApp, state: PlatformState): void {
  app.get('/health', { config, schema: health }, async () => {
    const modules = Object.fromEntries(await Promise.all(state.modules.map(async (module) => [module.name, await module.health()] as const)));
    const healthy = Object.values(modules).every((one) => one === 'healthy');
    return { status: healthy ? ('healthy' as const) : ('degraded' as const), modules };
  });
  app.get('/ready', { config, schema: readiness }, async (_request, reply) => {
    const { ready, reasons } = await state.ready();
    if (!ready) reply.code(503).header('retry-after', RETRY_AFTER_SECONDS);
    return reply.send({ ready, reasons: [...reasons] });
  });
}

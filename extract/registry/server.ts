/** The registry's listener, see protocol.ts. Whoever calls it needs a service token, and registers but the modules that it is. */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import { CallError } from '../../src/contract/errors.ts';
import { violationOf } from '../../src/contract/validate.ts';
import { toWire } from '../../src/wire/failure.ts';
import type { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { HealthChecks } from './health-checks.ts';
import { LONG_POLL_MS, REGISTRY, ReplicaRecord } from './protocol.ts';
import { Register } from './register.ts';
import { Watchers } from './watchers.ts';

export interface RegistryOptions {
  readonly tokens: ServiceTokens;
  readonly log: Logger;
}

interface Asked {
  Params: { id: string };
  Querystring: { after?: string };
}

/** The caller listens. */
export async function createRegistry({ tokens, log }: RegistryOptions): Promise<FastifyInstance> {
  const watchers = new Watchers(LONG_POLL_MS);
  const register = new Register(performance.now(), () => watchers.tell());
  const checks = new HealthChecks(register);
  const app = fastify({ bodyLimit: 65_536, return503OnClosing: false, forceCloseConnections: true });
  const callerOf = (request: FastifyRequest): string => {
    const claims = tokens.claimsOf(request.headers.authorization);
    if (claims?.callee === REGISTRY) return claims.caller;
    log.warn({ claims, path: request.url }, 'the registry refused a request without a good token');
    throw new CallError('UNAUTHENTICATED', 'a service token for the registry is needed');
  };
  app.addHook('preClose', async () => watchers.tell());
  app.addHook('onClose', async () => checks.close());
  app.setErrorHandler((error, _request, reply) => answerFailure(error, reply, log));
  app.get('/ready', () => ({ ready: true, reasons: [] }));
  app.get('/health', () => ({ status: 'healthy', modules: {} }));
  app.put<Asked>('/replicas/:id', async (request, reply) => {
    const caller = callerOf(request);
    const record = recordOf(request.body);
    requireOwn(caller, record, register.record(request.params.id));
    if (register.heartbeat(request.params.id, record, performance.now())) checks.check(request.params.id, record.public);
    return reply.code(204).send();
  });
  app.delete<Asked>('/replicas/:id', async (request, reply) => {
    requireOwn(callerOf(request), register.record(request.params.id));
    register.deregister(request.params.id);
    return reply.code(204).send();
  });
  app.get<Asked>('/replicas', async (request) => {
    callerOf(request);
    if (request.query.after === register.version) await watchers.wait(request.raw);
    return register.listing();
  });
  await app.ready();
  return app;
}

function recordOf(body: unknown): ReplicaRecord {
  const violation = violationOf(ReplicaRecord, body);
  if (violation) throw new CallError('VALIDATION_FAILED', `the record does not fit its schema at "${violation.path}": ${violation.message}`, { errors: [violation] });
  return body as ReplicaRecord;
}

/** A service speaks for itself, also where it knows the name of somebody else's replica. */
function requireOwn(caller: string, ...records: readonly (ReplicaRecord | undefined)[]): void {
  const foreign = records.find((record) => record && !record.modules.includes(caller));
  if (foreign) throw new CallError('FORBIDDEN', `${caller} may not speak for ${foreign.modules.join(', ')}`);
}

function answerFailure(error: unknown, reply: FastifyReply, log: Logger): void {
  if (!(error instanceof CallError)) log.warn({ err: error }, 'the registry could not read a request');
  const failure = error instanceof CallError ? error : new CallError('MALFORMED_BODY', 'the request cannot be read');
  void reply.code(failure.status).send(toWire(failure));
}

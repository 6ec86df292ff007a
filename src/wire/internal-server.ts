/**
 * The internal listener of a service: contract calls and events from other services (protocol.ts), and nothing else. It listens on an
 * address of its own, which the public cannot reach; whoever reaches it needs a service token for the module that is asked.
 *
 *   request --no token, or a bad one--> 401, logged
 *   request --the token's caller does not depend on the callee--> 403, logged
 *   request --another version of the contract--> 409
 *   request --taken--> the operation, as for a caller in this process --> 200, or what it failed with
 *
 * It drains as the public door does (drain.ts): what comes on a connection that was taken is done and answered, and whoever comes later is
 * not connected, so that nobody is left in doubt.
 */
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from 'fastify';
import type { Logger } from 'pino';
import { Call } from '../calls/call.ts';
import type { Contract } from '../contract/contract.ts';
import { CallError, ContractError } from '../contract/errors.ts';
import type { Client, EventEnvelope } from '../contract/types.ts';
import type { DeliveryResult } from '../events/delivery.ts';
import { drainOnClose, type DrainTimes, InHand } from '../http/drain.ts';
import { continueTrace, requestIdOf, traceOf } from '../http/trace.ts';
import { toWire } from './failure.ts';
import { type InternalRoute, logServed } from './internal-log.ts';
import { actorOf, callPath, CONTRACT_HEADER, eventsPath, REMAINING_HEADER, remainingMsOf, REQUEST_LIMIT, versionOf } from './protocol.ts';
import type { ServiceClaims, ServiceTokens } from './service-tokens.ts';

/** What this process hosts, as the listener needs it. */
export interface Served {
  readonly contract: Contract;
  /** Names of the modules that may call it: those that declare to depend on it. */
  readonly callers: ReadonlySet<string>;
  /** Modules that publish what its subscribers handle. */
  readonly publishers: ReadonlySet<string>;
  readonly subscribers: readonly string[];
  client(caller: string): Client<Contract>;
  handle(subscriber: string, events: readonly EventEnvelope[]): Promise<DeliveryResult[]>;
}

export interface InternalServerOptions {
  readonly modules: readonly Served[];
  readonly tokens: ServiceTokens;
  readonly log: Logger;
  /** Default: no notice, and 10 s for what is in hand. */
  readonly drain?: DrainTimes;
}

type Operation = (input: unknown, call: Call) => Promise<unknown>;

/** The caller listens, and closes it to drain. */
export async function createInternalServer({ modules, tokens, log, drain = { noticeMs: 0, timeoutMs: 10_000 } }: InternalServerOptions): Promise<FastifyInstance> {
  const app = fastify({ bodyLimit: REQUEST_LIMIT, keepAliveTimeout: KEEP_ALIVE_MS, return503OnClosing: false, pluginTimeout: 0 });
  const door = new InternalDoor(tokens, log);
  let isClosing = false;
  app.addHook('preClose', async () => void (isClosing = true));
  // Fastify says so of what comes from then on, and this of what is in hand: a note of each request would cost more.
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (isClosing) reply.header('connection', 'close');
    done(null, payload);
  });
  drainOnClose(app, new InHand(), drain);
  logServed(app, log);
  app.setNotFoundHandler((_request, reply) => void reply.code(404).send(toWire(new CallError('ROUTE_NOT_FOUND', 'no such operation or subscriber is served here'))));
  app.setErrorHandler((error, _request, reply) => answerFailure(reply, error, log));
  for (const module of modules) {
    for (const name of Object.keys(module.contract.operations)) serveOperation(app, door, module, name);
    for (const subscriber of module.subscribers) serveSubscriber(app, door, module, subscriber);
  }
  await app.ready();
  return app;
}

/** Longer than callers keep their connections, so that they end them: a request never meets a connection that is being closed. */
const KEEP_ALIVE_MS = 65_000;

class InternalDoor {
  readonly #tokens: ServiceTokens;
  readonly #log: Logger;

  constructor(tokens: ServiceTokens, log: Logger) {
    this.#tokens = tokens;
    this.#log = log;
  }

  /** @throws CallError UNAUTHENTICATED, FORBIDDEN */
  callerOf(request: FastifyRequest, callee: string, allowed: ReadonlySet<string>): string {
    const claims = this.#tokens.claimsOf(request.headers.authorization);
    if (claims?.callee !== callee) throw this.#refusal(request, 'UNAUTHENTICATED', `a service token for ${callee} is needed`, claims);
    if (!allowed.has(claims.caller)) throw this.#refusal(request, 'FORBIDDEN', `${claims.caller} may not ask ${callee} for this`, claims);
    return claims.caller;
  }

  #refusal(request: FastifyRequest, code: 'UNAUTHENTICATED' | 'FORBIDDEN', detail: string, claims: ServiceClaims | undefined): CallError {
    this.#log.warn({ address: request.ip, path: request.url, claims }, `the internal listener refused a request: ${detail}`);
    return new CallError(code, detail);
  }
}

function serveOperation(app: FastifyInstance, door: InternalDoor, module: Served, name: string): void {
  const { contract, callers } = module;
  const clients = new Map<string, Operation>();
  const operationFor = (caller: string): Operation => {
    const known = clients.get(caller) ?? (module.client(caller) as unknown as Record<string, Operation>)[name]!;
    clients.set(caller, known);
    return known;
  };
  const config: InternalRoute = { module: contract.name, operation: name };
  app.post(callPath(contract.name, name), { config: config as object, schema: { response: { 200: contract.operations[name]!.output } } }, async (request, reply) => {
    const caller = door.callerOf(request, contract.name, callers);
    requireVersion(request, contract);
    return operationFor(caller)(request.body, callOf(request, reply, caller));
  });
}

function serveSubscriber(app: FastifyInstance, door: InternalDoor, module: Served, subscriber: string): void {
  const config: InternalRoute = { module: module.contract.name, subscriber };
  app.post(eventsPath(subscriber), { config: config as object }, async (request) => {
    door.callerOf(request, module.contract.name, module.publishers);
    const { events } = (request.body ?? {}) as { events?: EventEnvelope[] };
    if (!Array.isArray(events) || events.length === 0) throw new CallError('VALIDATION_FAILED', 'the body must have events');
    return { results: await module.handle(subscriber, events) };
  });
}

function requireVersion(request: FastifyRequest, contract: Contract): void {
  const spoken = request.headers[CONTRACT_HEADER];
  const own = versionOf(contract);
  if (spoken !== own) throw new CallError('VERSION_MISMATCH', `this service speaks ${own}, but was asked as ${String(spoken ?? 'none')}; deploy both sides from versions that agree`);
}

/** What the caller handed over; it is cancelled when the caller's connection closes before the answer. */
function callOf(request: FastifyRequest, reply: FastifyReply, caller: string): Call {
  const remaining = remainingMsOf(request.headers);
  if (remaining === undefined) throw new CallError('VALIDATION_FAILED', `${REMAINING_HEADER} must say how many milliseconds are left`);
  const gone = new AbortController();
  reply.raw.on('close', () => void (reply.raw.writableFinished || gone.abort()));
  const given = traceOf(request.headers);
  return new Call({
    deadline: Date.now() + remaining,
    caller,
    requestId: requestIdOf(request.headers),
    traceparent: given?.traceparent ?? continueTrace(undefined),
    tracestate: given?.tracestate,
    beginsTrace: given === undefined,
    actor: actorOf(request.headers),
    signal: gone.signal,
  });
}

function answerFailure(reply: FastifyReply, error: unknown, log: Logger): void {
  const known = error instanceof CallError || error instanceof ContractError;
  if (!known) log.warn({ err: error }, 'the internal listener could not read a request');
  const failure = known ? error : new CallError('MALFORMED_BODY', 'the request cannot be read');
  void reply.code(failure.status).send(toWire(failure));
}

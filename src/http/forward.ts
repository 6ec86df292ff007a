/**
 * Routes of modules that are elsewhere: the door in front of them, for a process that sends requests on. Everything happens before
 * Fastify would look at a body, so that requests pass as they came: what is wrong with one is said by whoever answers it.
 *
 *   request --its route is known--> token checked as the route asks, counted against its caller --> sent on
 *   request --its route is not known (yet)--> counted against its address --> sent on: the other side checks everything in any case
 */
import { METHODS } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify';
import { type Admit, roles } from './auth.ts';
import { DEFAULT_DEADLINE_MS, Exchange, type RouteFacts } from './exchange.ts';
import type { Door, Owner } from './mount.ts';
import { OVERLOADED } from './overload.ts';
import { commonHeaders } from './security-headers.ts';
import { urlError } from './url.ts';

/** What a route does with a bearer token. */
export type TokenUse = 'ignored' | 'optional' | 'needed';

export interface KnownRoute {
  /** With its parameters as `:name`. */
  readonly pattern: string;
  readonly token: TokenUse;
}

/** The way to the module that a request is meant for. */
export interface Forwarding {
  /** Milliseconds until the other side must have begun to answer. */
  readonly deadlineMs?: number;
  /** The route that the other side has for it; undefined where that is not certain. */
  routeOf(request: FastifyRequest): KnownRoute | undefined;
  /** Answers with what the other side answers, or sends an error. */
  forward(request: FastifyRequest, reply: FastifyReply): void;
}

/** CONNECT never arrives as a request. */
const ALL_METHODS = METHODS.filter((method) => method !== 'CONNECT');

/** Requests of any method are sent on: whether a path takes it is for the other side to say. To be called before routes are mounted. */
export function acceptAllMethods(app: FastifyInstance): void {
  for (const method of ALL_METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true });
}

/** Takes what lies under the owner's paths, behind each of the prefixes. */
export async function mountForwarding(app: FastifyInstance, owner: Owner, forwarding: Forwarding, prefixes: readonly string[], door: Door): Promise<void> {
  for (const prefix of prefixes) {
    for (const path of owner.paths ?? []) {
      for (const url of [`${prefix}${path}`, `${prefix}${path}/*`]) {
        app.route({ method: ALL_METHODS, url, schema: { hide: true } as object, onRequest: passage(new Forwards(url, owner, forwarding, door), door), handler: neverReached });
      }
    }
  }
}

function neverReached(): never {
  throw new TypeError('a request that is sent on ends in its first hook');
}

function passage(forwards: Forwards, door: Door): onRequestHookHandler {
  const admit: Readonly<Record<TokenUse, Admit>> = { ignored: door.admission('anyone'), optional: door.admission('optional'), needed: door.admission(roles) };
  const limit = door.limits(undefined);
  return (request, reply) => {
    const route = forwards.routeOf(request);
    const facts = forwards.factsOf(request.method, route);
    const isFull = facts.load?.isFull();
    request.exchange = new Exchange(facts, request, reply);
    reply.headers(commonHeaders(request, request.exchange));
    const refused = (route && urlError(request.raw.url!)) ?? (isFull ? OVERLOADED : undefined);
    const end = (error?: Error) => (error ? void reply.send(error) : forwards.forward(request, reply));
    if (refused) end(refused);
    else if (limit) admit[route?.token ?? 'ignored'](request, (error) => limit(request, reply, (limited) => end(limited ?? error)));
    else admit[route?.token ?? 'ignored'](request, end);
  };
}

/** The requests that come in under one path. */
class Forwards {
  readonly #url: string;
  readonly #owner: Owner;
  readonly #forwarding: Forwarding;
  readonly #door: Door;
  readonly #facts = new Map<string, RouteFacts>();

  constructor(url: string, owner: Owner, forwarding: Forwarding, door: Door) {
    this.#url = url;
    this.#owner = owner;
    this.#forwarding = forwarding;
    this.#door = door;
  }

  routeOf(request: FastifyRequest): KnownRoute | undefined {
    return this.#forwarding.routeOf(request);
  }

  forward(request: FastifyRequest, reply: FastifyReply): void {
    this.#forwarding.forward(request, reply);
  }

  /** Measured by the route of the other side where it is known; there are as many as that side documents. */
  factsOf(method: string, route: KnownRoute | undefined): RouteFacts {
    const url = route?.pattern ?? this.#url;
    const key = `${method} ${url}`;
    const known = this.#facts.get(key);
    if (known) return known;
    const { metrics, inHand, tracing, overload } = this.#door;
    const { name: module, errors, log } = this.#owner;
    const recorder = metrics.route({ module, method, route: url });
    const facts: RouteFacts = { module, method, url, errors, deadlineMs: this.#forwarding.deadlineMs ?? DEFAULT_DEADLINE_MS, recorder, inHand, log, tracing, load: overload?.route() };
    this.#facts.set(key, facts);
    return facts;
  }
}

/** What a module's routes are written with. Every route says who may use it; the kernel refuses one that does not. */
import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { Static, TSchema } from '@sinclair/typebox';
import type { Logger } from 'pino';
import type { Actor, Call, Role } from '../calls/call.ts';
import { CallError } from '../contract/errors.ts';
import type { DeepReadonly } from '../contract/types.ts';

/** Types of requests and replies come from the route's TypeBox schemas. */
export interface TypeBoxProvider extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  /** Read-only, so that a route can answer with what an operation returned. */
  serializer: this['schema'] extends TSchema ? DeepReadonly<Static<this['schema']>> : unknown;
}

export type RouteApp = FastifyInstance<RawServerDefault, RawRequestDefaultExpression, RawReplyDefaultExpression, Logger, TypeBoxProvider>;

/** A Fastify plugin that registers a module's routes; the kernel mounts it under `/api/v1`. */
export type RoutesPlugin = (app: RouteApp) => Promise<void>;

/** `anyone`: no token is looked at or needed; `optional`: a token is used when sent; else the roles that may call. */
export type Access = 'anyone' | 'optional' | readonly Role[];

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may call the route. Required. */
    access?: Access;
    /** Milliseconds the request may take; default 10,000. */
    deadlineMs?: number;
    /** Codes of the module's catalogue that the route may answer with; OpenAPI shows them. */
    errors?: readonly string[];
    /** Names the stricter bucket that the route's requests count against, see `src/http/rate-limit.ts`. */
    limit?: string;
  }
  interface FastifyRequest {
    /** Who asks; null without a token. */
    actor: Actor | null;
    /** Deadline, cancellation, trace and actor of this request. */
    readonly call: Call;
  }
}

/** The actor of a route whose access list makes sure that there is one. */
export function actorOf(request: { actor: Actor | null }): Actor {
  if (!request.actor) throw new CallError('UNAUTHENTICATED', 'a valid bearer token is needed');
  return request.actor;
}

export type { FastifyPluginAsync };

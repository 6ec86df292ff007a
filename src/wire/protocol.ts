/**
 * What services say to each other, over HTTP/1.1 with keep-alive on a listener that the public cannot reach:
 *
 *   POST /calls/<module>/<operation>   the operation's input -> 200 with its output, or what it failed with
 *   POST /events/<subscriber>          { events } -> 200 { results }, one per event in their order
 *
 * Each request carries a service token for the callee's module; a call also how many ms are left of its deadline, who asks
 * and on whose behalf. Deadlines travel as what is left: the clocks of two machines differ.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Actor, Call, Role } from '../calls/call.ts';
import type { Contract } from '../contract/contract.ts';

export const CONTRACT_HEADER = 'x-cleave-contract';
export const REMAINING_HEADER = 'x-cleave-remaining-ms';
export const ACTOR_HEADER = 'x-cleave-actor';

/** A page of 500 orders of 50 lines has some 6 MB. */
export const ANSWER_LIMIT = 16 * 1024 * 1024;
export const REQUEST_LIMIT = 16 * 1024 * 1024;

export function callPath(module: string, operation: string): string {
  return `/calls/${module}/${operation}`;
}

export function eventsPath(subscriber: string): string {
  return `/events/${subscriber}`;
}

/** Both sides must mean the same contract: versions are equal or the call is refused. */
export function versionOf({ name, version }: Pick<Contract, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

/** Headers of a call, but for the token. */
export function callHeaders(contract: Contract, call: Call, remainingMs: number): Record<string, string> {
  const { actor, requestId, traceparent, tracestate } = call;
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-request-id': requestId,
    traceparent,
    [CONTRACT_HEADER]: versionOf(contract),
    [REMAINING_HEADER]: String(Math.max(1, Math.ceil(remainingMs))),
  };
  if (tracestate !== undefined) headers['tracestate'] = tracestate;
  if (actor) headers[ACTOR_HEADER] = `${actor.role} ${actor.id}`;
  return headers;
}

/** Milliseconds that the caller waits yet; undefined where it does not say. */
export function remainingMsOf(headers: IncomingHttpHeaders): number | undefined {
  const given = Number(headers[REMAINING_HEADER]);
  return Number.isFinite(given) && given > 0 ? given : undefined;
}

export function actorOf(headers: IncomingHttpHeaders): Actor | undefined {
  const given = headers[ACTOR_HEADER];
  const [, role, id] = /^(customer|support|admin) (\S{1,64})$/.exec(typeof given === 'string' ? given : '') ?? [];
  return id === undefined ? undefined : { id, role: role as Role };
}

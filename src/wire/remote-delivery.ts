/**
 * Delivers events to subscribers in other services. While a subscriber cannot be reached its events wait: that is no failure of
 * theirs, so it costs them no try and leads to no dead letter. The outbox keeps them; the relay gives the others its room.
 *
 *   batch --answered--> its results
 *   batch --unreached, lost, late or garbled--> waits, with backoff --> sent again (the inbox knows what was handled)
 *   batch --this process stops, or is not the owner any more--> held: it was not tried
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Type } from '@sinclair/typebox';
import type { Logger } from 'pino';
import { OneOf, strict } from '../contract/schemas.ts';
import type { EventEnvelope } from '../contract/types.ts';
import { violationOf } from '../contract/validate.ts';
import type { DeliveryResult } from '../events/delivery.ts';
import { post } from './exchange.ts';
import { eventsPath } from './protocol.ts';
import type { Replicas } from './replicas.ts';
import type { ServiceTokens } from './service-tokens.ts';

export interface RemoteDeliveryOptions {
  readonly replicas: Replicas;
  readonly tokens: ServiceTokens;
  readonly log: Logger;
  /** For one batch. A handler that hangs is given up by the intake earlier than that. */
  readonly timeoutMs: number;
}

const Results = strict({ results: Type.Array(strict({ outcome: OneOf(['handled', 'failed', 'held']), error: Type.Optional(Type.String()) })) });
const HELD: DeliveryResult = { outcome: 'held' };
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;
/** Of an outage the log tells once, and once more when it is over. */
const LOUD_AFTER = 3;

export class RemoteDelivery {
  readonly #options: RemoteDeliveryOptions;
  readonly #stop = new AbortController();

  constructor(options: RemoteDeliveryOptions) {
    this.#options = options;
  }

  close(): void {
    this.#stop.abort();
  }

  async deliver(subscriber: string, events: readonly EventEnvelope[], leaving: AbortSignal): Promise<DeliveryResult[]> {
    const over = AbortSignal.any([this.#stop.signal, leaving]);
    for (let tries = 1; ; tries += 1) {
      try {
        const results = await this.#send(subscriber, events, over);
        if (tries > LOUD_AFTER) this.#options.log.info({ subscriber, tries }, 'a subscriber elsewhere can be reached again');
        return results;
      } catch (error) {
        if (over.aborted) return events.map(() => HELD);
        if (tries === LOUD_AFTER) this.#options.log.warn({ err: error, subscriber }, 'a subscriber elsewhere cannot be reached; its events wait');
        await sleep(pauseMs(tries), undefined, { signal: over }).catch(() => undefined);
      }
    }
  }

  async #send(subscriber: string, events: readonly EventEnvelope[], over: AbortSignal): Promise<DeliveryResult[]> {
    const module = subscriber.slice(0, subscriber.indexOf('.'));
    const publisher = events[0]!.type.slice(0, events[0]!.type.indexOf('.'));
    const { replicas, tokens, timeoutMs } = this.#options;
    const replica = replicas.choose(module);
    if (!replica) throw new Error(`no replica of ${module} is known`);
    const headers = { 'content-type': 'application/json', authorization: tokens.bearer({ caller: publisher, callee: module }) };
    const answer = await post(replica, { path: eventsPath(subscriber), headers, body: JSON.stringify({ events }), deadline: Date.now() + timeoutMs, cancellation: over });
    const results = answer.status === 200 ? (JSON.parse(answer.text) as unknown) : undefined;
    if (violationOf(Results, results) || (results as { results: unknown[] }).results.length !== events.length) throw new Error(`${subscriber} answered ${answer.status}, and not what became of its events: ${answer.text.slice(0, 100)}`);
    return (results as { results: DeliveryResult[] }).results;
  }
}

/** Doubles, with jitter. */
function pauseMs(tries: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(tries - 1, 10)) * (0.5 + Math.random() / 2);
}

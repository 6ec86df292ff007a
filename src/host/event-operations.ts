/** What those who run the shop ask of its events, across the outboxes of modules, in this process or elsewhere. */
import type { Call } from '../calls/call.ts';
import { afterFirstCommit, CallError, refuse } from '../contract/errors.ts';
import { type Owed, owed } from '../events/backlog.ts';
import { byPlace, type DeadLetter, type Place } from '../events/dead-letters.ts';
import type { Replay, ReplayRequest } from '../events/replay.ts';
import type { AnyModule } from '../module.ts';
import type { EventDesk } from './event-desk.ts';
import { platform } from './platform.ts';

export interface SubscriberState {
  readonly subscriber: string;
  readonly types: readonly string[];
  readonly backlog: number;
  readonly retrying: number;
  readonly dead: number;
  /** Age of the oldest event that has not been tried yet. */
  readonly lagSeconds: number;
  /** Age of the oldest event that is not handled yet. */
  readonly oldestAgeSeconds: number;
}

export interface Redrive {
  /** Dead letters of these events, or all. */
  readonly eventIds?: readonly string[] | undefined;
  readonly all?: boolean | undefined;
  readonly subscriber?: string | undefined;
}

interface Subscription {
  readonly subscriber: string;
  readonly types: readonly string[];
  /** Of the subscriber's module. */
  readonly desk: EventDesk;
}

interface Module {
  readonly definition: AnyModule;
  readonly desk: EventDesk;
}

export class EventOperations {
  readonly #modules: readonly Module[];
  /** By name. */
  readonly subscriptions: readonly Subscription[];

  /** @param deskOf what is asked of a module's outbox and inbox */
  constructor(definitions: readonly AnyModule[], deskOf: (module: string) => EventDesk) {
    this.#modules = definitions.map((definition) => ({ definition, desk: deskOf(definition.contract.name) }));
    this.subscriptions = this.#modules.flatMap(subscriptionsOf).toSorted((a, b) => (a.subscriber < b.subscriber ? -1 : 1));
  }

  async subscribers(call: Call): Promise<SubscriberState[]> {
    return Promise.all(this.subscriptions.map(async (subscription) => stateOf(subscription, await this.#owedTo(subscription, call))));
  }

  async deadLetters(query: { subscriber?: string | undefined; after?: Place | undefined; limit: number }, call: Call): Promise<DeadLetter[]> {
    const found = await this.#everywhere(async (desk) => (await desk.listDeadLetters(query, call)).items);
    return found.flat().toSorted(byPlace).slice(0, query.limit);
  }

  /**
   * @returns how many dead letters are tried again, and which of the events have none
   * @throws CallError VALIDATION_FAILED where it is not clear which are meant
   */
  async redrive({ eventIds, all = false, subscriber }: Redrive, call: Call): Promise<{ redriven: number; notFound: string[] }> {
    if ((eventIds !== undefined) === all) throw invalid('', 'must have either eventIds or all: true');
    const wanted = eventIds?.map((id) => id.toLowerCase());
    const which = { ...(wanted && { eventIds: wanted }), ...(subscriber !== undefined && { subscriber }) };
    const asked = await Promise.allSettled(this.#modules.map(async ({ desk }) => (await desk.redriveDeadLetters(which, call)).eventIds));
    const redriven = asked.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    const failed = asked.find((answer) => answer.status === 'rejected');
    if (failed) {
      const failure = Promise.reject(failed.reason as Error);
      return redriven.length > 0 ? afterFirstCommit(failure) : failure;
    }
    const found = new Set(redriven);
    return { redriven: redriven.length, notFound: [...new Set(wanted)].filter((id) => !found.has(id)) };
  }

  /**
   * Asks the publisher's owner for a replay, which begins within half a second.
   * @throws ContractError SUBSCRIBER_NOT_FOUND, EVENT_NOT_HANDLED
   * @throws CallError VALIDATION_FAILED for a time that does not exist, or is yet to come
   */
  async replay({ subscriber, type, from }: ReplayRequest, call: Call): Promise<Replay> {
    const subscription = this.subscriptions.find((each) => each.subscriber === subscriber);
    if (!subscription) throw refuse(platform, 'SUBSCRIBER_NOT_FOUND', `there is no subscriber ${subscriber}`);
    const publisher = subscription.types.includes(type) ? this.#publisherOf(type) : undefined;
    if (!publisher) throw refuse(platform, 'EVENT_NOT_HANDLED', `${subscriber} does not handle ${type}, but ${subscription.types.join(', ')}`);
    return publisher.requestReplay({ subscriber, type, from: past(from) }, call);
  }

  /** @throws ContractError REPLAY_NOT_FOUND */
  async findReplay(id: string, call: Call): Promise<Replay> {
    const found = await this.#everywhere(async (desk) => (await desk.findReplay({ id }, call)).replay);
    const replay = found.find((each) => each !== null);
    if (!replay) throw refuse(platform, 'REPLAY_NOT_FOUND', `there is no replay ${id}`);
    return replay;
  }

  async #owedTo({ subscriber, types, desk }: Subscription, call: Call): Promise<Owed[]> {
    const byPublisher = Map.groupBy(types, (type) => this.#publisherOf(type));
    const ways = [...byPublisher].flatMap(([publisher, own]) => (publisher ? [{ publisher, own }] : []));
    return Promise.all(
      ways.map(async ({ publisher, own }) => {
        const byIt = await publisher.eventsOwed({ subscriber, types: own }, call);
        const eventIds = byIt.oldest.map(({ id }) => id);
        const handled = eventIds.length === 0 ? [] : (await desk.eventsHandled({ subscriber, eventIds }, call)).eventIds;
        return owed(byIt, new Set(handled));
      }),
    );
  }

  /** None where the publisher is not known here. */
  #publisherOf(type: string): EventDesk | undefined {
    return this.#modules.find(({ definition }) => Object.values(definition.contract.events).some((event) => event.type === type))?.desk;
  }

  async #everywhere<T>(ask: (desk: EventDesk) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#modules.map(async ({ desk }) => ask(desk)));
  }
}

function subscriptionsOf({ definition: { contract, subscribes = {} }, desk }: Module): Subscription[] {
  return Object.entries(subscribes).map(([name, events]) => ({ subscriber: `${contract.name}.${name}`, types: events.map(({ type }) => type), desk }));
}

function stateOf({ subscriber, types }: Subscription, ways: readonly Owed[]): SubscriberState {
  const sum = (count: (way: Owed) => number): number => ways.reduce((total, way) => total + count(way), 0);
  const lagSeconds = age(ways.map((way) => way.oldestUntried));
  return {
    subscriber,
    types,
    backlog: sum((way) => way.backlog),
    retrying: sum((way) => way.retrying),
    dead: sum((way) => way.dead),
    lagSeconds,
    oldestAgeSeconds: Math.max(lagSeconds, age(ways.map((way) => way.oldestRetried))),
  };
}

/** Seconds since the earliest of these times; 0 without one. */
function age(times: readonly (string | null)[]): number {
  const known = times.filter((time) => time !== null).map((time) => Date.parse(time));
  return known.length === 0 ? 0 : Math.max(0, Date.now() - Math.min(...known)) / 1000;
}

/** The time as events have it. */
function past(from: string): string {
  const time = Date.parse(from);
  if (Number.isNaN(time)) throw invalid('/from', 'must be a time that exists');
  if (time > Date.now()) throw invalid('/from', 'must not be in the future');
  return new Date(time).toISOString();
}

function invalid(path: string, message: string): CallError {
  return new CallError('VALIDATION_FAILED', `the request is not valid: ${path || 'it'} ${message}`, { errors: [{ path, message }] });
}

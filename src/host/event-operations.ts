/** What those who run the shop ask of its events, across the outboxes of all modules in this process. */
import type { Call } from '../calls/call.ts';
import { CallError, refuse } from '../contract/errors.ts';
import { type Owed, owed } from '../events/backlog.ts';
import { byPlace, type DeadLetter, deadLetters, type Place, redrive } from '../events/dead-letters.ts';
import { findReplay, type Replay, type ReplayRequest, requestReplay } from '../events/replay.ts';
import type { ModuleHost } from './module-host.ts';
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
  readonly module: ModuleHost;
}

export class EventOperations {
  readonly #modules: ReadonlyMap<string, ModuleHost>;

  constructor(modules: ReadonlyMap<string, ModuleHost>) {
    this.#modules = modules;
  }

  /** By name. */
  get subscriptions(): readonly Subscription[] {
    return [...this.#modules.values()]
      .flatMap((module) => [...module.intakes].map(([subscriber, { types }]) => ({ subscriber, types, module })))
      .toSorted((a, b) => (a.subscriber < b.subscriber ? -1 : 1));
  }

  async subscribers(call: Call): Promise<SubscriberState[]> {
    return Promise.all(this.subscriptions.map(async (subscription) => stateOf(subscription, await this.#owedTo(subscription, call))));
  }

  async deadLetters(query: { subscriber?: string | undefined; after?: Place | undefined; limit: number }, call: Call): Promise<DeadLetter[]> {
    const found = await this.#everywhere(async ({ db, outbox }) => deadLetters(db.for(call), outbox.schema, query));
    return found.flat().toSorted(byPlace).slice(0, query.limit);
  }

  /**
   * @returns how many dead letters are tried again, and which of the events have none
   * @throws CallError VALIDATION_FAILED where it is not clear which are meant
   */
  async redrive({ eventIds, all = false, subscriber }: Redrive, call: Call): Promise<{ redriven: number; notFound: string[] }> {
    if ((eventIds !== undefined) === all) throw invalid('', 'must have either eventIds or all: true');
    const wanted = eventIds?.map((id) => id.toLowerCase());
    const redriven = (await this.#everywhere(async ({ db, outbox }) => redrive(db.for(call), outbox.schema, { eventIds: wanted, subscriber }))).flat();
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
    return requestReplay(publisher.db.for(call), publisher.outbox.schema, { subscriber, type, from: past(from) });
  }

  /** @throws ContractError REPLAY_NOT_FOUND */
  async findReplay(id: string, call: Call): Promise<Replay> {
    const found = await this.#everywhere(async ({ db, outbox }) => findReplay(db.for(call), outbox.schema, id));
    const replay = found.find((each) => each !== undefined);
    if (!replay) throw refuse(platform, 'REPLAY_NOT_FOUND', `there is no replay ${id}`);
    return replay;
  }

  async #owedTo({ subscriber, types, module }: Subscription, call: Call): Promise<Owed[]> {
    const byPublisher = Map.groupBy(types, (type) => this.#publisherOf(type));
    const ways = [...byPublisher].flatMap(([publisher, own]) => (publisher ? [{ publisher, own }] : []));
    return Promise.all(
      ways.map(async ({ publisher, own }) =>
        owed({ from: publisher.db.for(call), outbox: publisher.outbox.schema, to: module.db.for(call), inbox: module.outbox.schema, subscriber, types: own }),
      ),
    );
  }

  /** None where the publisher is not hosted here. */
  #publisherOf(type: string): ModuleHost | undefined {
    return [...this.#modules.values()].find(({ definition }) => Object.values(definition.contract.events).some((event) => event.type === type));
  }

  async #everywhere<T>(ask: (module: ModuleHost) => Promise<T>): Promise<T[]> {
    return Promise.all([...this.#modules.values()].map(ask));
  }
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

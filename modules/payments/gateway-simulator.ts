/**
 * A card processor in miniature. It keeps its own books in tables of its own (`simulator_*`), each written by
 * one statement outside our transactions, as if they were in another company's database: what it has booked
 * stays booked when we crash or roll back.
 *
 *   key unknown --charge--> approved | declined --charge, void--> the same answer again
 *   key unknown --void--> voided --charge--> voided
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sql, uuidv7 } from '#kernel';
import { type Booking, type ChargeRequest, type Gateway, GatewayFailure, type RefundRequest } from './gateway.ts';

export interface SimulatorInit {
  readonly storage: Sql;
  /** Milliseconds of a round trip; half of them pass before the work is done. */
  readonly latencyMs: number;
  /** Share of the round trips that break, on the way there or on the way back; 0 to 1. */
  readonly failureRate: number;
  /** Milliseconds that the answer to a first `tok_timeout` takes. */
  readonly lateMs: number;
  /** Uniform in [0, 1). */
  readonly chance?: () => number;
}

interface Decision {
  readonly outcome: 'approved' | 'declined' | 'voided';
  readonly message: string;
}

const decisions: Readonly<Record<string, Decision>> = {
  tok_visa: { outcome: 'approved', message: 'Approved' },
  tok_timeout: { outcome: 'approved', message: 'Approved' },
  tok_declined: { outcome: 'declined', message: 'The card was declined' },
  tok_insufficient_funds: { outcome: 'declined', message: 'Insufficient funds' },
};

/** What the processor says to a card token, as test cards do. */
export function decisionFor(cardToken: string): Decision {
  return decisions[cardToken] ?? { outcome: 'declined', message: 'Unknown card' };
}

interface ChargeRow {
  outcome: 'approved' | 'declined' | 'voided';
  transactionId: string | null;
  message: string;
}

const columns = 'outcome, transaction_id as "transactionId", message';

export class GatewaySimulator implements Gateway {
  readonly #init: SimulatorInit;
  readonly #legFailureRate: number;
  readonly #chance: () => number;

  constructor(init: SimulatorInit) {
    this.#init = init;
    this.#legFailureRate = 1 - Math.sqrt(1 - init.failureRate);
    this.#chance = init.chance ?? Math.random;
  }

  charge(request: ChargeRequest, signal: AbortSignal): Promise<Booking> {
    return this.#roundTrip(signal, async () => {
      if (request.cardToken === 'tok_gateway_down') throw new GatewayFailure('the card processor is down');
      const first = await this.#book(request.key, decisionFor(request.cardToken), request.amount.amount, request.amount.currency);
      if (first && request.cardToken === 'tok_timeout') await sleep(this.#init.lateMs, undefined, { signal });
      return (await this.#find(request.key))!;
    });
  }

  lookup(key: string, signal: AbortSignal): Promise<Booking | undefined> {
    return this.#roundTrip(signal, () => this.#find(key));
  }

  void(key: string, signal: AbortSignal): Promise<Booking> {
    return this.#roundTrip(signal, async () => {
      await this.#book(key, { outcome: 'voided', message: 'Voided' }, 0, 'XXX');
      return (await this.#find(key))!;
    });
  }

  refund(request: RefundRequest, signal: AbortSignal): Promise<void> {
    return this.#roundTrip(signal, async () => {
      if ((await this.#giveBack(request)) || (await this.#wasGivenBack(request.key))) return;
      throw new GatewayFailure(`refund ${request.key} names no approved charge, or is more than is left of it`);
    });
  }

  async #roundTrip<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    await this.#travel(signal);
    const answer = await work();
    await this.#travel(signal);
    return answer;
  }

  async #travel(signal: AbortSignal): Promise<void> {
    if (this.#init.latencyMs > 0) await sleep(this.#init.latencyMs / 2, undefined, { signal });
    signal.throwIfAborted();
    if (this.#chance() < this.#legFailureRate) throw new GatewayFailure('the connection to the card processor broke');
  }

  /** @returns whether this was the first that the processor heard of the key */
  async #book(key: string, decision: Decision, amount: number, currency: string): Promise<boolean> {
    const transactionId = decision.outcome === 'approved' ? `ch_${uuidv7().replaceAll('-', '')}` : null;
    const booked = await this.#init.storage.sql(
      `insert into simulator_charge (key, outcome, transaction_id, message, amount, currency) values ($1, $2, $3, $4, $5, $6)
       on conflict (key) do nothing returning key`,
      [key, decision.outcome, transactionId, decision.message, amount, currency],
    );
    return booked.length > 0;
  }

  async #find(key: string): Promise<Booking | undefined> {
    const [row] = await this.#init.storage.sql<ChargeRow>(`select ${columns} from simulator_charge where key = $1`, [key]);
    return row as Booking | undefined;
  }

  async #giveBack({ key, transactionId, amount }: RefundRequest): Promise<boolean> {
    const given = await this.#init.storage.sql(
      `insert into simulator_refund (key, transaction_id, amount)
       select $1, charge.transaction_id, $3::bigint from simulator_charge charge
       where charge.transaction_id = $2 and charge.outcome = 'approved' and charge.currency = $4
         and charge.amount >= $3::bigint + (select coalesce(sum(amount), 0) from simulator_refund where transaction_id = $2)
       on conflict (key) do nothing returning key`,
      [key, transactionId, amount.amount, amount.currency],
    );
    return given.length > 0;
  }

  async #wasGivenBack(key: string): Promise<boolean> {
    return (await this.#init.storage.sql('select 1 from simulator_refund where key = $1', [key])).length > 0;
  }
}

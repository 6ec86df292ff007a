/**
 * The client's own log: what it asked for and what was acknowledged. Of each wish:
 *
 *   asked --success--> acknowledged: it has happened, once
 *   asked --refusal--> refused: it has not happened
 *   asked --no answer, and not repeated--> asked: it may have happened, once
 */
import { writeFileSync } from 'node:fs';
import { type Answer, told } from './api.testing.ts';

export interface Wish {
  /** Stands in the database beside what comes of the wish, where there is room for it. */
  readonly mark: string;
  readonly key: string | undefined;
  outcome: 'asked' | 'acknowledged' | 'refused';
  /** The problem's code, of one that was refused. */
  refusal?: string;
  /** What was acknowledged. */
  id?: string;
}

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

export interface Placement extends Wish {
  readonly customerId: string;
  /** Each product once. */
  readonly items: readonly Line[];
  readonly card: string | undefined;
  /** In minor units, as acknowledged. */
  total?: number;
}

export interface Payment extends Wish {
  readonly orderId: string;
  readonly card: string;
}

export interface Refund extends Wish {
  readonly orderId: string;
  readonly paymentId: string;
  readonly amount: number;
}

/** Of an order; `mark` is the order's id. */
export interface Move extends Wish {
  readonly verb: 'cancel' | 'dispatch' | 'deliver';
}

export class Journal {
  readonly placements: Placement[] = [];
  readonly payments: Payment[] = [];
  readonly refunds: Refund[] = [];
  readonly moves: Move[] = [];
  /** Answers that no client should have had. */
  readonly complaints: string[] = [];

  complain(complaint: string): void {
    this.complaints.push(`${new Date().toISOString()} ${complaint}`);
  }

  get acknowledged(): number {
    return [...this.placements, ...this.payments, ...this.refunds, ...this.moves].filter(({ outcome }) => outcome === 'acknowledged').length;
  }

  /** How much of what was acknowledged, e.g. `12 orders, 3 payments`. */
  get summary(): string {
    const { placements, payments, refunds, moves } = this;
    const of = (verb: Move['verb']) => moves.filter((move) => move.verb === verb);
    const kinds: readonly (readonly [string, readonly Wish[]])[] = [
      ['orders', placements], ['payments', payments], ['refunds', refunds], ['cancellations', of('cancel')], ['dispatches', of('dispatch')], ['deliveries', of('deliver')],
    ];
    return kinds.map(([name, wishes]) => `${wishes.filter(({ outcome }) => outcome === 'acknowledged').length} ${name}`).join(', ');
  }

  /** Wishes of which nobody knows what became of them. */
  get unknown(): number {
    return [...this.placements, ...this.payments, ...this.refunds, ...this.moves].filter(({ outcome }) => outcome === 'asked').length;
  }

  /** For whoever has to find out what went wrong. */
  write(file: string): void {
    const { placements, payments, refunds, moves, complaints } = this;
    writeFileSync(file, JSON.stringify({ complaints, placements, payments, refunds, moves }, undefined, 1));
  }
}

/** Notes what became of a wish. @returns whether it was granted */
export function settle(wish: Wish, answer: Answer | 'lost'): boolean {
  if (answer === 'lost') return false;
  wish.outcome = answer.status < 300 ? 'acknowledged' : 'refused';
  if (wish.outcome === 'refused') wish.refusal = String(answer.body?.code ?? told(answer));
  else wish.id = answer.body.id;
  return wish.outcome === 'acknowledged';
}

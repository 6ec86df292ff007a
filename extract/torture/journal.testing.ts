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

  /** How much of what was acknowledged. */
  get acknowledged() {
    const { placements, payments, refunds, moves } = this;
    const count = (wishes: readonly Wish[]) => wishes.filter(({ outcome }) => outcome === 'acknowledged').length;
    const of = (verb: Move['verb']) => count(moves.filter((move) => move.verb === verb));
    return { orders: count(placements), payments: count(payments), refunds: count(refunds), cancellations: of('cancel'), dispatches: of('dispatch'), deliveries: of('deliver') };
  }

  /** The same for people, e.g. `12 orders, 3 payments`. */
  get summary(): string {
    return Object.entries(this.acknowledged).map(([kind, n]) => `${n} ${kind}`).join(', ');
  }

  /**
   * Notes what became of a wish.
   * @param refusals codes of problems that it may meet with; another refusal is a complaint
   * @returns whether it was granted
   */
  settle(wish: Wish, answer: Answer | 'lost', refusals: readonly string[]): boolean {
    if (answer === 'lost') return false;
    wish.outcome = answer.status < 300 ? 'acknowledged' : 'refused';
    if (wish.outcome === 'acknowledged') wish.id = answer.body.id;
    else {
      wish.refusal = String(answer.body?.code ?? told(answer));
      if (!refusals.includes(wish.refusal)) this.complain(`${JSON.stringify(wish)} was refused: ${told(answer)}`);
    }
    return wish.outcome === 'acknowledged';
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

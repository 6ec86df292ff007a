/**
 * Watches over calls under way: their deadlines and whether their callers have given up. A timer and an abort
 * listener for each call would cost a third of what a call in process may cost; here a call is linked into the slot
 * of its deadline and unlinked when it ends, and a clock that runs while there are any looks at them.
 *
 *   watched --end()--> gone
 *   watched --its slot comes up--> late: told once
 *   watched --its caller has given up--> cancelled: told once
 */
const SLOT_MS = 10;

/** Something that ends by itself, or late, or when it is not wanted any more. */
export abstract class Watched {
  previous: Watched | undefined;
  next: Watched | undefined;

  /** It has ended: nothing is told any more. */
  end(): void {
    if (!this.previous) return;
    this.previous.next = this.next;
    if (this.next) this.next.previous = this.previous;
    this.previous = undefined;
  }

  /** Within 10 to 20 ms after its time. */
  abstract late(): void;

  /** Looked at every 10 ms. */
  abstract get isCancelled(): boolean;
  abstract cancel(): void;
}

const slots = new Map<number, Watched>();
let timer: NodeJS.Timeout | undefined;

/** Watches until the time `at` (epoch milliseconds). */
export function watch(watched: Watched, at: number): void {
  const slot = Math.ceil(at / SLOT_MS) + 1;
  let head = slots.get(slot);
  if (!head) {
    head = new Moment(() => undefined);
    slots.set(slot, head);
    timer ??= setInterval(tick, SLOT_MS).unref();
  }
  watched.previous = head;
  watched.next = head.next;
  if (head.next) head.next.previous = watched;
  head.next = watched;
}

/** Calls `late` within 10 to 20 ms after the time `at` (epoch milliseconds), unless the watch has ended by then. */
export function watchDeadline(at: number, late: () => void): Watched {
  const moment = new Moment(late);
  watch(moment, at);
  return moment;
}

class Moment extends Watched {
  readonly late: () => void;

  constructor(late: () => void) {
    super();
    this.late = late;
  }

  get isCancelled(): boolean {
    return false;
  }

  cancel(): void {}
}

function tick(): void {
  const now = Math.floor(Date.now() / SLOT_MS);
  for (const [slot, head] of slots) {
    if (!head.next) slots.delete(slot);
    else if (slot > now) cancelUnwanted(head);
    else expire(slot, head);
  }
  if (slots.size > 0) return;
  clearInterval(timer);
  timer = undefined;
}

function expire(slot: number, head: Watched): void {
  slots.delete(slot);
  for (let watched = head.next; watched; watched = head.next) {
    watched.end();
    watched.late();
  }
}

function cancelUnwanted(head: Watched): void {
  let next: Watched | undefined;
  for (let watched = head.next; watched; watched = next) {
    next = watched.next;
    if (!watched.isCancelled) continue;
    watched.end();
    watched.cancel();
  }
}

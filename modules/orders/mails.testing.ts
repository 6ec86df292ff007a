/** Has each fact been told once by e-mail, none left out and none made up? Asked of the tables where the facts stand. */
import type { TestShop } from '#testing';

/** How the subject of a mail begins or reads, and which orders it must have gone to: once per line of the answer. */
interface Kind {
  readonly what: string;
  readonly subject: RegExp;
  readonly facts: readonly [module: string, sql: string];
}

const kinds: readonly Kind[] = [
  { what: 'placed', subject: /^We received your order /, facts: ['orders', 'select id as order_id from customer_order'] },
  {
    what: 'payment completed',
    subject: /^We received your payment for order /,
    facts: ['payments', `select order_id from payment where status in ('completed', 'partially_refunded', 'refunded')`],
  },
  { what: 'payment failed', subject: /^Your payment for order .* failed$/, facts: ['payments', `select order_id from payment where status in ('declined', 'failed')`] },
  { what: 'shipped', subject: /^Your order .* is on its way$/, facts: ['orders', `select id as order_id from customer_order where status in ('shipped', 'delivered')`] },
  { what: 'cancelled', subject: /^Your order .* was cancelled$/, facts: ['orders', `select id as order_id from customer_order where status in ('cancelled', 'rejected')`] },
];

/** How many mails of each kind there are, and what is wrong with them. */
export async function mailsAtRest(shop: TestShop): Promise<{ counts: Record<string, number>; wrong: string[] }> {
  const mails = await shop.sql<{ subject: string; body: string }>('notifications', `select subject, body from notification where channel = 'email'`);
  const counts: Record<string, number> = {};
  const wrong = mails.filter(({ subject }) => kinds.filter((kind) => kind.subject.test(subject)).length !== 1).map(({ subject }) => `a mail of no kind, or of two: ${subject}`);
  for (const { what, subject, facts: [module, sql] } of kinds) {
    const sent = mails.filter((mail) => subject.test(mail.subject)).map(({ body }) => /^Order: (\S+)$/m.exec(body)?.[1] ?? body);
    const due = (await shop.sql<{ order_id: string }>(module, sql)).map((row) => row.order_id);
    counts[what] = due.length;
    wrong.push(...beyond(due, sent).map((order) => `lost: ${what}, order ${order}`), ...beyond(sent, due).map((order) => `told once too often: ${what}, order ${order}`));
  }
  return { counts, wrong };
}

/** What the first holds more often than the second. */
function beyond(first: readonly string[], second: readonly string[]): string[] {
  const left = [...second];
  return first.filter((item) => {
    const at = left.indexOf(item);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

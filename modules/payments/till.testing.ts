/** What the tests of this module share: orders to be paid that nobody placed, and the audit of the books. */
import { uuidv7 } from '#kernel';
import type { Reply, SignedIn, TestShop } from '#testing';
import { payments } from './contract.ts';

export const usd = (amount: number) => ({ amount, currency: 'USD' });

/** A till: pays and looks as one customer, audits as nobody may. */
export class Till {
  readonly shop: TestShop;
  readonly customer: SignedIn;

  constructor(shop: TestShop, customer: SignedIn) {
    this.shop = shop;
    this.customer = customer;
  }

  static async of(shop: TestShop): Promise<Till> {
    return new Till(shop, await shop.customer());
  }

  /** An order that waits for its payment. */
  async order(amount = 1_999): Promise<string> {
    const orderId = uuidv7();
    await this.shop.client(payments).open({ orderId, customerId: this.customer.id, amount: usd(amount) }, this.shop.call());
    return orderId;
  }

  pay(orderId: string, cardToken = 'tok_visa', key?: string, who: SignedIn = this.customer): Promise<Reply> {
    const body = { orderId, method: 'card', cardToken };
    return this.shop.request('POST', '/api/v1/payments', { token: who.token, body, ...keyed(key) });
  }

  charge(orderId: string, cardToken = 'tok_visa', amount = 1_999) {
    return this.shop.client(payments).charge({ orderId, customerId: this.customer.id, amount: usd(amount), cardToken }, this.shop.call());
  }

  close(orderId: string, reason = 'CUSTOMER_REQUEST') {
    return this.shop.client(payments).close({ orderId, reason }, this.shop.call());
  }

  async refund(paymentId: string, body: object, key?: string): Promise<Reply> {
    const { token } = await this.shop.admin();
    return this.shop.request('POST', `/api/v1/payments/${paymentId}/refund`, { token, body, ...keyed(key) });
  }

  /** The order's payments as its customer sees them, newest first. */
  async payments(orderId: string): Promise<{ id: string; status: string; refunded: { amount: number } }[]> {
    const reply = await this.shop.request('GET', `/api/v1/payments?orderId=${orderId}`, { token: this.customer.token });
    return reply.body.items;
  }

  /** What the card processor took for an order and gave back, by its own books. */
  async taken(orderId: string): Promise<{ charges: number; taken: number; givenBack: number }> {
    const [row] = await this.shop.sql<{ charges: number; taken: number; givenBack: number }>(
      'payments',
      `select count(*)::int as charges, coalesce(sum(amount), 0)::bigint as taken, coalesce(sum(back), 0)::bigint as "givenBack"
       from (select charge.amount, (select sum(amount) from simulator_refund where transaction_id = charge.transaction_id) as back
             from simulator_charge charge join payment on payment.id::text = charge.key
             where charge.outcome = 'approved' and payment.order_id = $1) charged`,
      [orderId],
    );
    return row!;
  }

  /** Every way in which our books could be wrong; empty when they are right and nothing is under way. */
  async discrepancies(): Promise<object[]> {
    return this.shop.sql('payments', AUDIT);
  }
}

function keyed(key: string | undefined): { headers?: Record<string, string> } {
  return key === undefined ? {} : { headers: { 'idempotency-key': key } };
}

/** The processor's books, the payments and the ledger must tell the same story, order by order; what cost nothing is in none of them. */
const AUDIT = `
with processor as (
  select payment.order_id, count(*) as charges, sum(charge.amount) as taken,
    sum((select coalesce(sum(amount), 0) from simulator_refund where transaction_id = charge.transaction_id)) as back
  from simulator_charge charge left join payment on payment.id::text = charge.key where charge.outcome = 'approved' and charge.amount > 0 group by 1
), paid as (
  select order_id, sum(amount) as taken, sum(refunded) as back, sum(refunding) as due
  from payment where status in ('completed', 'partially_refunded', 'refunded') and amount > 0 group by 1
), booked as (
  select order_id, sum(credit) filter (where account = 'sales') as taken, coalesce(sum(debit) filter (where account = 'refunds'), 0) as back,
    sum(debit - credit) as balance, sum(debit - credit) filter (where account = 'gateway_receivable') as receivable
  from ledger_entry group by 1
)
select order_id, to_jsonb(processor) as processor, to_jsonb(paid) as paid, to_jsonb(booked) as booked
from processor full join paid using (order_id) full join booked using (order_id)
where processor.charges is distinct from 1 or paid.due is distinct from 0 or booked.balance is distinct from 0
  or processor.taken is distinct from paid.taken or processor.back is distinct from paid.back
  or paid.taken is distinct from booked.taken or paid.back is distinct from booked.back
  or booked.receivable is distinct from processor.taken - processor.back`;

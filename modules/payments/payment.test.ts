import t from 'tap';
import { CallError } from '#kernel';
import { leftToRefund, type Seen, standingOf, statusAfterRefund } from './payment.ts';
import { amountToRefund } from './refund.ts';

const seen = (status: Seen['status'], origin: Seen['origin'] = 'customer', leased = false): Seen => ({ status, origin, leased });

t.test('an order is free to be charged while nothing was taken and nobody is at it', async (t) => {
  t.equal(standingOf('open', [], 'customer').is, 'free');
  t.equal(standingOf('open', [seen('declined'), seen('failed')], 'customer').is, 'free', 'declines and failures leave it so');
  t.equal(standingOf('open', [seen('declined', 'fulfilment')], 'customer').is, 'free', 'the customer may pay after fulfilment was declined');
});

t.test('an order that was charged is never charged again', async (t) => {
  for (const status of ['completed', 'partially_refunded', 'refunded'] as const) {
    t.equal(standingOf('paid', [seen('declined'), seen(status)], 'customer').is, 'paid', status);
    t.equal(standingOf('paid', [seen(status)], 'fulfilment').is, 'paid', `${status}, for fulfilment`);
  }
});

t.test('a closed order takes nothing, whatever happened before', async (t) => {
  t.equal(standingOf('closed', [], 'customer').is, 'closed');
  t.equal(standingOf('closed', [seen('completed')], 'fulfilment').is, 'closed');
  t.equal(standingOf('closed', [seen('pending', 'customer', true)], 'customer').is, 'closed');
});

t.test('an attempt in hand holds everybody else off; one whose worker died does not', async (t) => {
  t.equal(standingOf('open', [seen('pending', 'customer', true)], 'customer').is, 'in_hand');
  t.equal(standingOf('open', [seen('pending', 'customer', true)], 'fulfilment').is, 'in_hand');
  t.equal(standingOf('open', [seen('pending', 'fulfilment', true)], 'customer').is, 'in_hand');
  t.equal(standingOf('open', [seen('pending', 'customer', false)], 'customer').is, 'abandoned');
});

t.test('fulfilment goes on with its own attempt and is told its own decline again', async (t) => {
  t.equal(standingOf('open', [seen('pending', 'fulfilment', true)], 'fulfilment').is, 'own');
  t.equal(standingOf('open', [seen('pending', 'fulfilment', false)], 'fulfilment').is, 'own');
  t.equal(standingOf('open', [seen('declined', 'fulfilment')], 'fulfilment').is, 'declined');
  t.equal(standingOf('open', [seen('declined', 'customer')], 'fulfilment').is, 'free', "a customer's decline is not fulfilment's");
});

const payment = { id: '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10', status: 'completed' as const, amount: 1_000, currency: 'USD', refunded: 300, refunding: 200 };

t.test('no more is refunded than is left', async (t) => {
  t.equal(leftToRefund(payment), 500);
  t.equal(amountToRefund(payment, undefined), 500, 'without a wish, all of it');
  t.equal(amountToRefund(payment, { amount: 500, currency: 'USD' }), 500);
  t.throws(() => amountToRefund(payment, { amount: 501, currency: 'USD' }), { code: 'REFUND_EXCEEDS_PAYMENT', data: { left: { amount: 500, currency: 'USD' } } });
  t.throws(() => amountToRefund({ ...payment, refunding: 700 }, undefined), { code: 'REFUND_EXCEEDS_PAYMENT' }, 'nothing is left');
});

t.test('only what was taken is refunded, in the currency that it was taken in', async (t) => {
  for (const status of ['pending', 'declined', 'failed'] as const) {
    t.throws(() => amountToRefund({ ...payment, status }, undefined), { code: 'PAYMENT_NOT_REFUNDABLE' }, status);
  }
  t.throws(() => amountToRefund(payment, { amount: 1, currency: 'EUR' }), CallError);
  t.throws(() => amountToRefund(payment, { amount: 1, currency: 'EUR' }), { code: 'VALIDATION_FAILED', errors: [{ path: '/amount/currency' }] });
});

t.test('a payment is refunded when all of it is', async (t) => {
  t.equal(statusAfterRefund(1_000, 1_000), 'refunded');
  t.equal(statusAfterRefund(1_000, 999), 'partially_refunded');
});

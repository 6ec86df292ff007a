import t from 'tap';
import * as messages from './messages.ts';
import { pauseBeforeNextTry, isGivenUp } from './notification.ts';
import { amountText, oneLine, shortNumber } from './wording.ts';

const orderId = '0198c2f4-6a7e-7cc3-9c1e-2f6f1f6b8a10';
const customerId = '0198c2f4-6a7e-7cc3-9c1e-000000000001';
const usd = (amount: number) => ({ amount, currency: 'USD' });
const order = {
  orderId,
  customerId,
  items: [{ productId: customerId, name: 'Cast-iron pan', quantity: 2, unitPrice: usd(1999) }],
  total: usd(3998),
};

void t.test('amounts have the decimals of their currency', async (t) => {
  t.equal(amountText(usd(1999)), '$19.99');
  t.equal(amountText(usd(5)), '$0.05');
  t.equal(amountText(usd(0)), '$0.00');
  t.equal(amountText(usd(1_000_000_000_000)), '$10,000,000,000.00');
  t.equal(amountText({ amount: 500, currency: 'JPY' }), '¥500');
  t.equal(amountText({ amount: 1234, currency: 'KWD' }).replace(/\s/, ' '), 'KWD 1.234');
});

void t.test('an order is called by the random end of its id', async (t) => {
  t.equal(shortNumber(orderId), '1F6B8A10');
});

void t.test('an order that was placed is confirmed with its items and total', async (t) => {
  const { subject, body, text } = messages.yourOrderWasReceived(order);
  t.equal(subject, 'We received your order 1F6B8A10');
  t.match(body, '  2 x Cast-iron pan, $19.99 each\n');
  t.match(body, 'Total: $39.98\n');
  t.match(body, `Order: ${orderId}\n`);
  t.equal(text, 'We received your order 1F6B8A10 over $39.98. Thank you!');
});

void t.test('payments are reported with their amount', async (t) => {
  const payment = { paymentId: customerId, orderId, customerId, amount: usd(3998) };
  t.match(messages.yourPaymentWentThrough({ ...payment, transactionId: 'tx_1' }).body, 'Your payment of $39.98 went through.\nTransaction: tx_1\n');
  const failed = messages.yourPaymentFailed({ ...payment, message: 'insufficient funds' });
  t.equal(failed.subject, 'Your payment for order 1F6B8A10 failed');
  t.match(failed.body, 'failed: insufficient funds\nNothing was charged.');
});

void t.test('a shipped order comes with its tracking number', async (t) => {
  const { body, text } = messages.yourOrderIsOnItsWay({ orderId, customerId, trackingNumber: 'CL123' });
  t.match(body, 'Tracking number: CL123\n');
  t.match(text, 'Tracking number: CL123');
});

void t.test('a cancelled order says why, also for a reason that is not known here', async (t) => {
  const told = (reason: string) => messages.yourOrderWasCancelled({ ...order, reason });
  t.match(told('OUT_OF_STOCK').body, 'was cancelled: not everything in it is in stock.\n');
  t.match(told('CUSTOMER_REQUEST').text, 'was cancelled: as you asked us to.');
  t.match(told('METEOR').body, 'was cancelled: it could not be completed.\n');
  t.match(told('constructor').body, 'was cancelled: it could not be completed.\n');
});

void t.test('an answer is told of, but not what it says', async (t) => {
  const { subject, body, text } = messages.yourTicketWasAnswered({ ticketId: orderId, customerId, orderId: null, messageId: customerId });
  t.equal(subject, 'We answered your ticket 1F6B8A10');
  t.match(body, `Ticket: ${orderId}\n`);
  t.equal(text, 'We answered your ticket 1F6B8A10.');
});

void t.test('foreign text can neither start a line nor a header', async (t) => {
  const nasty = 'Pan\r\nBcc: eve@example.com\u2028\u0000\u202eevil';
  t.equal(oneLine(nasty), 'Pan Bcc: eve@example.com evil');
  const wordings = [
    messages.yourOrderWasReceived({ ...order, items: [{ ...order.items[0]!, name: nasty }] }),
    messages.yourPaymentWentThrough({ paymentId: customerId, orderId, customerId, amount: usd(1), transactionId: nasty }),
    messages.yourPaymentFailed({ paymentId: customerId, orderId, customerId, amount: usd(1), message: nasty }),
    messages.yourOrderIsOnItsWay({ orderId, customerId, trackingNumber: nasty }),
    messages.yourOrderWasCancelled({ ...order, reason: nasty }),
  ];
  for (const { subject, body, text } of wordings) {
    t.notMatch(`${subject}${text}`, /[\r\n]/);
    t.notMatch(body, /^Bcc/m);
    t.notMatch(body, /\r/);
  }
});

void t.test('long text is cut between characters, not inside one', async (t) => {
  t.equal(oneLine('😀'.repeat(10), 4), '😀😀😀…');
  t.equal(oneLine('😀'.repeat(4), 4), '😀😀😀😀');
});

void t.test('the pause before the next try doubles up to ten minutes, half of it by chance', async (t) => {
  t.equal(pauseBeforeNextTry(1, 1_000, 0), 500);
  t.equal(pauseBeforeNextTry(1, 1_000, 0.999999), 1_000);
  t.equal(pauseBeforeNextTry(4, 1_000, 0.999999), 8_000);
  t.equal(pauseBeforeNextTry(500, 1_000, 0.999999), 600_000);
});

void t.test('a message is given up when it is refused for good or out of tries', async (t) => {
  t.notOk(isGivenUp(1, 3, false));
  t.ok(isGivenUp(3, 3, false));
  t.ok(isGivenUp(1, 3, true));
});

/** The rules of a ticket, without a shop around them. */
import t from 'tap';
import { hasRoom, isStaff, MAX_MESSAGES } from './ticket.ts';

t.test('a ticket takes messages until it is full', async (t) => {
  t.equal(hasRoom({ messages: 1 }), true);
  t.equal(hasRoom({ messages: MAX_MESSAGES - 1 }), true);
  t.equal(hasRoom({ messages: MAX_MESSAGES }), false);
});

t.test('whoever is no customer is staff', async (t) => {
  t.same((['customer', 'support', 'admin'] as const).map(isStaff), [false, true, true]);
});

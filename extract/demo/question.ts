/** The customer asks about an order, and somebody of the staff answers. */
import { randomUUID } from 'node:crypto';
import { chapter, step } from './screen.ts';
import { type List, mustHold, type Order, type Ticket } from './shop-api.ts';
import type { Stage } from './story.ts';

/** A ticket of the story. */
export interface Asked {
  readonly ticketId: string;
  /** The order that it is about. */
  readonly orderId: string;
  /** Answers by staff: as many e-mails, and as many texts. */
  readonly answers: number;
}

const QUESTION = 'The handle came off.';
const ANSWER = 'We are sending you another one.';

/** @param mark makes names that no other run has used */
export async function asksAndIsAnswered({ api, admin, customer }: Stage, order: Order, mark: string): Promise<Asked> {
  chapter('She has a question');
  const opened = await step('She opens a ticket about the order that was delivered', async () => {
    const body = { subject: 'My lantern is broken', body: QUESTION, orderId: order.id };
    return api.ask<Ticket>(201, 'POST', '/tickets', { token: customer, body });
  }, ({ messages }) => `? ${messages[0]!.body}`);
  const clerk = await step('The administrator gives a colleague the role of support', async () => {
    const account = { username: `clerk_${mark}`, password: randomUUID() };
    const { id } = await api.ask<{ id: string }>(201, 'POST', '/users', { body: { ...account, email: `${account.username}@example.com` } });
    await api.ask(200, 'PATCH', `/users/${id}`, { token: admin, body: { role: 'support' } });
    return api.signIn(account);
  });
  await step('The colleague answers', async () => {
    await api.ask(201, 'POST', `/tickets/${opened.id}/messages`, { token: clerk, body: { body: ANSWER } });
    return ANSWER;
  }, (answer) => `! ${answer}`);
  await step('She finds it among her tickets and reads it', async () => {
    const { items } = await api.get<List<Pick<Ticket, 'id' | 'status'>>>('/tickets', customer);
    mustHold(items.length === 1 && items[0]!.id === opened.id && items[0]!.status === 'open', `her tickets must be ${opened.id}, which is open, but are ${JSON.stringify(items)}`);
    holds(await api.get<Ticket>(`/tickets/${opened.id}`, customer), 'open', order);
  });
  await step('She closes the ticket', async () => {
    holds(await api.ask<Ticket>(200, 'POST', `/tickets/${opened.id}/close`, { token: customer }), 'closed', order);
  });
  return { ticketId: opened.id, orderId: order.id, answers: 1 };
}

/** Question and answer, about the order. */
function holds(ticket: Ticket, status: string, order: Order): void {
  const said = ticket.messages.map(({ authorRole, body }) => `${authorRole}: ${body}`).join(' | ');
  mustHold(ticket.status === status && ticket.orderId === order.id, `the ticket must be ${status} and about ${order.id}, but is ${ticket.status} and about ${ticket.orderId}`);
  mustHold(said === `customer: ${QUESTION} | support: ${ANSWER}`, `the ticket must hold question and answer, but holds ${said}`);
}

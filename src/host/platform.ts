/** What the kernel itself offers over HTTP to those who run the shop: its refusals, as a module has them in its contract. */
import { defineContract } from '../contract/contract.ts';

export const platform = defineContract({
  name: 'platform',
  version: 1,
  summary: 'The process as operators see it.',
  errors: {
    SUBSCRIBER_NOT_FOUND: { status: 422, title: 'No such subscriber', remedy: 'Use a subscriber of GET /api/v1/admin/events/subscribers.' },
    EVENT_NOT_HANDLED: { status: 422, title: 'The subscriber does not handle such events', remedy: 'Use one of the subscriber\'s `types` at GET /api/v1/admin/events/subscribers.' },
    REPLAY_NOT_FOUND: { status: 404, title: 'No such replay', remedy: 'Check the id; replays are forgotten after 30 days.' },
  },
  operations: {},
  events: {},
});

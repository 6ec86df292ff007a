/** A message to a customer, and when a message that could not be handed over is tried again. */
import { defineEntity, type InferEntity, p } from '@mikro-orm/core';

export const channels = ['email', 'sms'] as const;
export type Channel = (typeof channels)[number];

export const statuses = ['queued', 'sent', 'failed'] as const;
export type Status = (typeof statuses)[number];

const properties = {
  id: p.uuid().primary(),
  eventId: p.uuid(),
  channel: p.enum(channels),
  userId: p.uuid(),
  recipient: p.text(),
  subject: p.text(),
  body: p.text(),
  status: p.enum(statuses),
  tries: p.integer().default(0),
  dueAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  lastError: p.text().nullable(),
  createdAt: p.datetime().columnType('timestamptz').defaultRaw('now()'),
  sentAt: p.datetime().columnType('timestamptz').nullable(),
  traceparent: p.text().nullable(),
  tracestate: p.text().nullable(),
};

export const NotificationEntity = defineEntity({
  name: 'Notification',
  tableName: 'notification',
  properties,
  uniques: [{ name: 'notification_event_id_channel_unique', properties: ['eventId', 'channel'] }],
  indexes: [
    { name: 'notification_user_id_id_index', properties: ['userId', 'id'] },
    { name: 'notification_due_at_index', properties: ['dueAt'], where: { status: 'queued' } },
  ],
});
export type NotificationRow = InferEntity<typeof NotificationEntity>;

const LONGEST_PAUSE_MS = 600_000;

/**
 * Milliseconds until the next try after `tries` failed ones: doubles from `baseMs` up to ten minutes.
 * Half of it is left to chance, so that messages which failed together do not come back together.
 * @param chance uniform in [0, 1)
 */
export function pauseBeforeNextTry(tries: number, baseMs: number, chance: number): number {
  const pause = Math.min(baseMs * 2 ** (tries - 1), LONGEST_PAUSE_MS);
  return Math.round(pause * (0.5 + chance / 2));
}

/** A message is given up when its carrier will never take it or its tries are used up. */
export function isGivenUp(tries: number, maxTries: number, refusedForGood: boolean): boolean {
  return refusedForGood || tries >= maxTries;
}

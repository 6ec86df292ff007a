/** Who takes a message out of the shop: an SMTP server, a provider of text messages. */
import type { Channel } from './notification.ts';

export interface Message {
  /** UUIDv7 of the notification: the same in each try, so that the receiving side can tell a repetition. */
  readonly id: string;
  /** E-mail address or phone number. */
  readonly recipient: string;
  /** One line; empty for a text message. */
  readonly subject: string;
  readonly body: string;
  readonly createdAt: Date;
}

export interface Carrier {
  /**
   * Resolves once the other side has taken responsibility for the message.
   * @throws MessageRefused when it never will; any other error is worth another try
   */
  send(message: Message): Promise<void>;
  /** Lets go of connections; no message is under way any more. */
  close(): void;
}

/**
 * Who carries each channel. A channel that is `kept` leaves the shop by nobody: the recorded message is the
 * delivery, shown at /notifications.
 */
export type Carriers = { readonly [C in Channel]: Carrier | 'kept' };

/** The other side will never take this message, e.g. because the mailbox does not exist. */
export class MessageRefused extends Error {
  override readonly name = 'MessageRefused';
}

/**
 * E-mail over SMTP (RFC 5321). One try per `send`: nodemailer's own requeueing is off, because retries at two
 * layers multiply; the sender's is the one with a memory.
 */
import { createTransport, type NodemailerError } from 'nodemailer';
import { type Carrier, type Message, MessageRefused } from './carrier.ts';

export interface SmtpOptions {
  /** `smtp[s]://[user:password@]host[:port]`; nodemailer's options may follow as query parameters. */
  readonly url: string;
  /** The From header: `Name <address>` or an address. */
  readonly from: string;
  /** Connections at a time; more messages than that wait. */
  readonly connections: number;
  /** Milliseconds that one hand-over may take in all. */
  readonly timeoutMs: number;
}

export function smtpCarrier(options: SmtpOptions): Carrier {
  const transport = createTransport({
    url: options.url,
    pool: true,
    maxConnections: options.connections,
    maxRequeues: 0,
    requireTLS: credentialsWouldTravelInTheClear(options.url),
    connectionTimeout: options.timeoutMs,
    greetingTimeout: options.timeoutMs,
    socketTimeout: options.timeoutMs,
    dnsTimeout: options.timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(message) {
      const signal = AbortSignal.timeout(options.timeoutMs);
      try {
        await transport.sendMail({ ...asMail(message, options.from), signal });
      } catch (error) {
        throw isRefusedForGood(error as NodemailerError) ? new MessageRefused((error as Error).message, { cause: error }) : error;
      }
    },
    close: () => transport.close(),
  };
}

function asMail(message: Message, from: string) {
  return {
    from,
    to: { name: '', address: message.recipient },
    subject: message.subject,
    text: message.body,
    date: message.createdAt,
    messageId: `<${message.id}@${domainOf(from)}>`,
    // RFC 3834: keeps out-of-office replies from answering a machine.
    headers: { 'Auto-Submitted': 'auto-generated' },
  };
}

/** The domain of an address; it makes the Message-ID unique beyond this shop (RFC 5322, section 3.6.4). */
export function domainOf(from: string): string {
  return from.slice(from.lastIndexOf('@') + 1).replace(/>\s*$/, '');
}

/** A user name in the URL means a password: it may cross a network only inside TLS. Loopback is no network. */
export function credentialsWouldTravelInTheClear(url: string): boolean {
  const { protocol, username, hostname } = new URL(url);
  return protocol === 'smtp:' && username !== '' && !['localhost', '127.0.0.1', '[::1]'].includes(hostname);
}

/**
 * Whether another try of the same message would end the same way: its recipient or content was refused with
 * a 5xx reply, or it can't be put into SMTP at all. A 5xx to our sign-in or sender address is our set-up's
 * fault, not the message's: that is mended while the message waits.
 */
export function isRefusedForGood(error: Pick<NodemailerError, 'code' | 'command' | 'permanent'>): boolean {
  if (error.code !== 'EENVELOPE' && error.code !== 'EMESSAGE') return false;
  return error.command === 'API' || (error.permanent === true && (error.command === 'RCPT TO' || error.command === 'DATA'));
}

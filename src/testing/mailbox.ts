/** An SMTP server that keeps what it is sent, for tests. It reads what nodemailer writes: plain text in one part. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { SMTPServer } from 'smtp-server';

export interface Mail {
  readonly envelopeTo: readonly string[];
  /** By lower-case name, unfolded and decoded; every value of a name that occurs more than once. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly text: string;
}

export type Stage = 'MAIL FROM' | 'RCPT TO' | 'DATA';

export interface Mailbox {
  readonly url: string;
  readonly mails: readonly Mail[];
  /** Answers a command with this reply code from now on; undefined takes everything again. */
  refuse(stage: Stage | undefined, code?: number): void;
  /** Takes messages but cuts the connection instead of saying so: what a lost reply looks like. */
  loseReplies(lose: boolean): void;
  /** Stops listening. */
  goDown(): Promise<void>;
  /** Listens again where it did. */
  comeBack(): Promise<void>;
}

interface Behaviour {
  refusal: { readonly stage: Stage; readonly code: number } | undefined;
  losesReplies: boolean;
}

/** Opens a mailbox on a free port of this machine. */
export async function openMailbox(): Promise<Mailbox> {
  const mails: Mail[] = [];
  const behaviour: Behaviour = { refusal: undefined, losesReplies: false };
  let server = await mailServer(mails, behaviour);
  const port = await listen(server, 0);
  return {
    url: `smtp://127.0.0.1:${port}`,
    mails,
    refuse: (stage, code = 550) => (behaviour.refusal = stage && { stage, code }),
    loseReplies: (lose) => (behaviour.losesReplies = lose),
    goDown: () => new Promise((resolve) => server.close(resolve)),
    comeBack: async () => {
      server = await mailServer(mails, behaviour);
      await listen(server, port);
    },
  };
}

async function listen(server: SMTPServer, port: number): Promise<number> {
  const listener = server.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  return (listener.address() as AddressInfo).port;
}

async function mailServer(mails: Mail[], behaviour: Behaviour): Promise<SMTPServer> {
  // Most tests open no mailbox, and need not load what one is made of.
  const { SMTPServer } = await import('smtp-server');
  const verdict = (stage: Stage) =>
    behaviour.refusal?.stage === stage ? Object.assign(new Error('refused by the test'), { responseCode: behaviour.refusal.code }) : null;
  const server = new SMTPServer({
    authOptional: true,
    allowInsecureAuth: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onAuth: ({ username }, _session, done) => done(null, { user: username }),
    onMailFrom: (_address, _session, done) => done(verdict('MAIL FROM')),
    onRcptTo: (_address, _session, done) => done(verdict('RCPT TO')),
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const refused = verdict('DATA');
        if (!refused) mails.push(readMail(Buffer.concat(chunks).toString('utf8'), session.envelope.rcptTo.map(({ address }) => address)));
        if (behaviour.losesReplies) for (const connection of server.connections) connection.close();
        else done(refused);
      });
    },
  });
  // A client that goes away in the middle is part of the tests.
  server.on('error', () => undefined);
  return server;
}

function readMail(source: string, envelopeTo: string[]): Mail {
  const end = source.indexOf('\r\n\r\n');
  const headers = new Map<string, string[]>();
  for (const line of source.slice(0, end).replace(/\r\n[ \t]+/g, ' ').split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    headers.set(name, [...(headers.get(name) ?? []), decodeWords(line.slice(colon + 1).trim())]);
  }
  const encoding = headers.get('content-transfer-encoding')?.[0];
  return { envelopeTo, headers, text: decodeBody(source.slice(end + 4), encoding).replace(/\r\n/g, '\n') };
}

/** RFC 2047: `=?utf-8?Q?caf=C3=A9?=`; white space between two encoded words belongs to neither. */
function decodeWords(value: string): string {
  return value.replace(/\?=\s+=\?/g, '?==?').replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_word, kind: string, text: string) =>
    kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString('utf8') : unquote(text.replaceAll('_', ' ')),
  );
}

function decodeBody(body: string, encoding: string | undefined): string {
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8');
  return encoding === 'quoted-printable' ? unquote(body.replace(/=\r\n/g, '')) : body;
}

function unquote(text: string): string {
  const bytes = text.replace(/=([0-9A-F]{2})/g, (_code, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}

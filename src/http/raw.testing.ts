/** For tests of what no HTTP client would do: bytes as they are, on a connection of their own. */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Manner {
  /** Closes the own side of the connection behind the bytes, and listens on. */
  readonly halfClose?: boolean;
  /** Pieces that are sent behind the bytes, each after a pause. */
  readonly drip?: { readonly pieces: readonly string[]; readonly pauseMs: number };
}

/** Writes bytes to a new connection and returns all that comes back until it is closed. */
export async function exchangeBytes(url: string, bytes: string, { halfClose = false, drip }: Manner = {}): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const answer = receivedBy(socket, { mayReset: drip !== undefined });
  if (halfClose) socket.end(bytes);
  else socket.write(bytes);
  const [received] = await Promise.all([answer, drip && send(socket, drip)]);
  return received;
}

async function send(socket: Socket, { pieces, pauseMs }: NonNullable<Manner['drip']>): Promise<void> {
  for (const piece of pieces) {
    await sleep(pauseMs);
    if (!socket.writable) return;
    socket.write(piece);
  }
}

/**
 * All that comes over a connection until it is closed.
 * @param mayReset whether a reset behind the answer is an end like any other: whoever goes on sending may meet a connection that is closed
 */
export function receivedBy(socket: Socket, { mayReset = false } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('error', (error) => {
      if (!mayReset || received === '') reject(error);
    });
    socket.on('close', () => resolve(received));
  });
}

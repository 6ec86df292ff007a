/** For tests of what no HTTP client would do: bytes as they are, on a connection of their own. */
import { connect, type Socket } from 'node:net';

export interface Manner {
  /** Closes the own side of the connection behind the bytes, and listens on. */
  readonly halfClose?: boolean;
}

/** Writes bytes to a new connection and returns all that comes back until it is closed. */
export async function exchangeBytes(url: string, bytes: string, { halfClose = false }: Manner = {}): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const answer = receivedBy(socket);
  if (halfClose) socket.end(bytes);
  else socket.write(bytes);
  return answer;
}

/** All that comes over a connection until it is closed. */
export function receivedBy(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
  });
}

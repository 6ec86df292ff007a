/** Ports for servers of tests that go and come back on the port that they had. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below those that Linux, macOS and Windows hand out by themselves (from 32768 or 49152 on): one of them may belong to anybody's
 * connection by the time at which the server is back.
 */
const FIRST = 20_000;
const BEYOND = 32_000;

export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    try {
      const port = randomInt(FIRST, BEYOND);
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

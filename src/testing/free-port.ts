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

const given = new Set<number>();

/** Never the same one twice: whoever got it may not listen yet. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer();
    try {
      const port = randomInt(FIRST, BEYOND);
      if (given.has(port)) continue;
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      server.close();
      await once(server, 'close');
      given.add(port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
  }
}

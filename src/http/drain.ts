/**
 * Requests in hand, so that a server that closes can tell their clients not to send another one on the same
 * connection. Without it each connection that was busy when closing began stays open until its keep-alive time
 * is over, 72 s, and closing waits for it.
 */
import type { Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

export class InHand {
  readonly #replies = new Set<ServerResponse>();

  add(reply: ServerResponse): void {
    this.#replies.add(reply);
  }

  delete(reply: ServerResponse): void {
    this.#replies.delete(reply);
  }

  /** From now on the replies in hand are the last ones on their connections; Fastify sees to those that follow. */
  closeConnectionsAfter(): void {
    for (const reply of this.#replies) {
      if (!reply.headersSent) reply.setHeader('connection', 'close');
      else endAfter(reply);
    }
  }
}

/** A reply that is being streamed has said keep-alive already: its connection is ended under it. */
function endAfter(reply: ServerResponse): void {
  const { socket } = reply;
  reply.once('finish', () => socket?.end());
}

export function drainOnClose(app: FastifyInstance, inHand: InHand): void {
  app.addHook('preClose', (done) => {
    inHand.closeConnectionsAfter();
    if (app.server.listening) closeAsTheyBecomeIdle(app.server);
    done();
  });
}

const LOOK_EVERY_MS = 100;

/** A request that was answered before all of it had come leaves a connection that is idle once the rest has, which nobody tells. */
function closeAsTheyBecomeIdle(server: Server): void {
  const timer = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS);
  server.once('close', () => clearInterval(timer));
}

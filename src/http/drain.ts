/**
 * Requests in hand, so that they hear of their client, and so that a server that closes can tell their clients not to send another one on the same
 * connection. Without it each connection that was busy when closing began stays open until its keep-alive time
 * is over, 72 s, and closing waits for it.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Whoever answers a request. */
interface Answering {
  /** The client has closed its side of the connection. */
  clientSendsNoMore(): void;
}

export class InHand {
  readonly #replies = new Map<ServerResponse, Answering>();

  add(reply: ServerResponse, answering: Answering): void {
    this.#replies.set(reply, answering);
  }

  delete(reply: ServerResponse): void {
    this.#replies.delete(reply);
  }

  /** Looked through once per connection, not noted by socket for each request. */
  clientSendsNoMore(socket: Socket): void {
    for (const [reply, answering] of this.#replies) if (reply.req.socket === socket) answering.clientSendsNoMore();
  }

  /** From now on the replies in hand are the last ones on their connections; Fastify sees to those that follow. */
  closeConnectionsAfter(): void {
    for (const reply of this.#replies.keys()) {
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
    done();
  });
}

/**
 * How a server drains: whoever has sent a request on a connection that was taken gets the answer.
 *
 *   open     --close-------------------------------> noticing: replies carry `Connection: close`, the port stays open
 *   noticing --the notice is over------------------> leaving
 *   leaving  --a turn in which nobody is at the door-> shut: the listener is closed, and with it what is idle
 *   shut     --every reply is out, who came last has had a moment to ask--> ended
 *
 * Node's own `close` loses requests: it hangs up on idle connections whose next request lies unread in the socket, and
 * the kernel resets those that wait to be accepted. Of 8 busy clients 1 to 7 saw that. Connections that are idle by the
 * end of the notice have been quiet since it began, for one with a reply in between ends with that reply.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { closeListener, nextTurn } from './close-listener.ts';

/** Whoever answers a request. */
interface Answering {
  /** The client has closed its side of the connection. */
  clientSendsNoMore(): void;
}

export interface DrainTimes {
  /** How long the port stays open while replies ask to come back on another connection, in ms. */
  readonly noticeMs: number;
  /** When to stop being patient, in ms. */
  readonly timeoutMs: number;
}

/** What a connection that has been taken is given to send the first byte of a request, in ms. */
const NEWCOMER_MS = 100;

/** Requests in hand, so that they hear of their client, and so that their replies can be the last ones on their connections. */
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

  /**
   * From now on the replies in hand are the last ones on their connections; Fastify sees to those that follow. Without
   * it a connection that was busy would stay open until its keep-alive time is over, 72 s, and closing would wait for it.
   */
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

/** Fastify has marked the instance as closing when the hook runs, and closes the server after it. */
export function drainOnClose(app: FastifyInstance, inHand: InHand, times: DrainTimes): void {
  const connections = watchConnections(app.server);
  app.addHook('preClose', async () => {
    const end = performance.now() + times.timeoutMs;
    inHand.closeConnectionsAfter();
    const servers = listening(app);
    if (servers.length === 0) return;
    await sleep(Math.min(times.noticeMs, times.timeoutMs));
    await Promise.all(servers.map(async (server) => {
      await closeListener(server, end);
      server.closeIdleConnections();
    }));
    await seeOffNewcomers(connections, end);
    for (const server of servers) closeAsTheyBecomeIdle(server);
  });
}

/** Node.js tells how many connections there are, not which. */
function watchConnections(server: Server): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return connections;
}

/** `localhost` is two addresses, and Fastify keeps a server for each. */
function listening(app: FastifyInstance): Server[] {
  const key = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.serverBindings');
  const others = key ? (app as unknown as Record<symbol, Server[]>)[key]! : [];
  return [app.server, ...others].filter((server) => server.listening);
}

/** Browsers connect in advance and may never ask: Node.js does not count such a connection as idle, and would wait for it. */
async function seeOffNewcomers(connections: ReadonlySet<Socket>, end: number): Promise<void> {
  const silent = () => [...connections].filter(({ bytesRead }) => bytesRead === 0);
  if (silent().length === 0) return;
  await sleep(Math.max(0, Math.min(NEWCOMER_MS, end - performance.now())));
  await nextTurn();
  for (const socket of silent()) socket.destroy();
}

const LOOK_EVERY_MS = 100;

/** A request that was answered before all of it had come leaves a connection that is idle once the rest has, which nobody tells. */
function closeAsTheyBecomeIdle(server: Server): void {
  const timer = setInterval(() => server.closeIdleConnections(), LOOK_EVERY_MS);
  server.once('close', () => clearInterval(timer));
}

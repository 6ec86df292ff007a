/**
 * Closes a listener without turning away who is at the door already. The kernel completes connections on its own and keeps
 * them until the process accepts them; those that it still keeps when the listener is closed are reset, although their
 * clients may have sent a request. So the listener is closed only when nobody waits:
 *
 *   letting in --a turn of the event loop with a newcomer-------> letting in
 *   letting in --a turn without, but somebody has come since----> letting in
 *   letting in --a turn without, and the last place is our own--> closed: it is known that nobody waits
 *   letting in --many turns without, or the time is over--------> closed: as sure as can be elsewhere
 *
 * Newcomers are taken in, but not listened to before the listener is closed. Otherwise a turn is long with the work that
 * they bring, and none passes without another one: with 8 clients that connect for each request none did within 10 s.
 *
 * Between the look at the door and its closing somebody may come. So for that moment the queue is cut down to one place
 * (`listen` once more, with a backlog of 0), and a connection of our own takes it: if it was free nobody waited, and nobody
 * can come any more. A client that finds the queue full is not connected; it tries again, and is refused.
 */
import { connect, type AddressInfo, Server, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';

/** What lies under a server and a socket; not documented, so it is asked for carefully. */
interface Handle {
  listen?(backlog: number): number;
  /** 0 when the other end has answered. */
  getpeername?(out: object): number;
}

/** Node's own, when it listens. */
const BACKLOG = 511;
/** Where the last place cannot be had, so many turns without a newcomer have to do. */
const QUIET_TURNS = 20;
/** Newcomers wait while the listener is being closed, and then need time to come to an end, in ms. */
const LONGEST_MS = 2_000;

/** @param latest when to close in any case, by `performance.now()` */
export async function closeListener(server: Server, latest: number): Promise<void> {
  const end = Math.min(latest, performance.now() + LONGEST_MS);
  const newcomers = new Newcomers(server);
  for (let quiet = 0; quiet < QUIET_TURNS && performance.now() < end; ) {
    const before = newcomers.count;
    await nextTurn();
    if (newcomers.count > before) continue;
    if (await takesLastPlace(server)) break;
    quiet += 1;
  }
  // Not the HTTP server's own `close`, which hangs up on idle connections whenever it comes to that.
  Server.prototype.close.call(server);
  newcomers.attend();
}

/** Resolves when the event loop has looked at every socket once more. */
export async function nextTurn(): Promise<void> {
  await setImmediate();
}

/** Takes the server's new connections in its place, and hands them over later with what they have said by then. */
class Newcomers {
  readonly #server: Server;
  readonly #waiting: Socket[] = [];
  readonly #listeners: readonly ((socket: Socket) => void)[];

  constructor(server: Server) {
    this.#server = server;
    this.#listeners = server.listeners('connection') as ((socket: Socket) => void)[];
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => this.#waiting.push(socket.on('error', () => undefined)));
  }

  get count(): number {
    return this.#waiting.length;
  }

  attend(): void {
    this.#server.removeAllListeners('connection');
    for (const listener of this.#listeners) this.#server.on('connection', listener);
    for (const socket of this.#waiting) if (!socket.destroyed) this.#server.emit('connection', socket);
  }
}

/** Whether a connection of our own got the only place in the queue. Looks within one turn, before the place is taken up. */
async function takesLastPlace(server: Server): Promise<boolean> {
  handleOf(server)?.listen?.(0);
  const own = connect(placeOf(server.address() as AddressInfo));
  own.on('error', () => undefined);
  // The connection is begun in the next tick; on the way back to this machine it is complete at once, or not at all.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const taken = handleOf(own)?.getpeername?.({}) === 0;
  own.destroy();
  if (!taken) handleOf(server)?.listen?.(BACKLOG);
  return taken;
}

function placeOf({ address, port, family }: AddressInfo): { host: string; port: number } {
  const isAny = address === '0.0.0.0' || address === '::';
  return { port, host: isAny ? (family === 'IPv6' ? '::1' : '127.0.0.1') : address };
}

function handleOf(of: Server | Socket): Handle | null | undefined {
  return (of as unknown as { _handle?: Handle | null })._handle;
}

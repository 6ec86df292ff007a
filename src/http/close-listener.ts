/**
 * Closes a listener without turning away who is at the door already. The kernel completes connections on its own and keeps
 * them until the process accepts them; those that it still keeps when the listener is closed are reset, although their
 * clients may have sent a request. So the listener is closed only when nobody waits:
 *
 *   waiting --a turn of the event loop with a newcomer----------> waiting
 *   waiting --a turn without, and the last place is our own-----> closed: it is known that nobody else is there
 *   waiting --many turns without, or the time is over-----------> closed: as sure as can be elsewhere
 *
 * Between the look at the door and its closing somebody may come. Therefore the queue is cut down to one place first
 * (`listen` again, with a backlog of 0), and a connection of our own takes that place: if it was free nobody waited, and
 * nobody can come any more. A client that finds the queue full is not connected; it tries again, and is refused. Without
 * that trick one round in twenty under load lost a request.
 */
import { connect, type AddressInfo, type Socket, Server } from 'node:net';
import { setImmediate } from 'node:timers/promises';

/** What lies under a server and a socket; not documented, so it is asked for carefully. */
interface Handle {
  listen?(backlog: number): number;
  /** 0 when the other end has answered. */
  getpeername?(out: object): number;
}

/** Where the last place cannot be had, so many turns without a newcomer have to do. */
const QUIET_TURNS = 20;

/** @param end when to close in any case, by `performance.now()` */
export async function closeListener(server: Server, end: number): Promise<void> {
  let newcomers = 0;
  const count = (): void => void (newcomers += 1);
  server.on('connection', count);
  handleOf(server)?.listen?.(0);
  for (let quiet = 0; quiet < QUIET_TURNS && performance.now() < end; ) {
    newcomers = 0;
    await nextTurn();
    if (newcomers > 0) continue;
    if (await takesLastPlace(server)) break;
    quiet += 1;
  }
  server.off('connection', count);
  // Not the HTTP server's own `close`, which hangs up on idle connections whenever it comes to that.
  Server.prototype.close.call(server);
}

/** Resolves when the event loop has looked at every socket once more. */
export async function nextTurn(): Promise<void> {
  await setImmediate();
}

/** Whether a connection of our own got the only place in the queue. Looks within one turn, before the place is taken up. */
async function takesLastPlace(server: Server): Promise<boolean> {
  const own = connect(placeOf(server.address() as AddressInfo));
  own.on('error', () => undefined);
  // The connection is begun in the next tick; on the way back to this machine it is complete at once, or not at all.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const taken = handleOf(own)?.getpeername?.({}) === 0;
  own.destroy();
  return taken;
}

function placeOf({ address, port, family }: AddressInfo): { host: string; port: number } {
  const isAny = address === '0.0.0.0' || address === '::';
  return { port, host: isAny ? (family === 'IPv6' ? '::1' : '127.0.0.1') : address };
}

function handleOf(of: Server | Socket): Handle | null | undefined {
  return (of as unknown as { _handle?: Handle | null })._handle;
}

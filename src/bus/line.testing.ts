/** A line between a client and PostgreSQL that a test can freeze: both ends stay connected and hear nothing. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export class Line {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #target: URL;
  #frozen = false;
  #held: (() => void)[] = [];

  private constructor(target: URL) {
    this.#target = target;
    this.#server = createServer((client) => this.#join(client));
  }

  static async open(target: string): Promise<Line> {
    const line = new Line(new URL(target));
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    return line;
  }

  /** Connection string that leads over this line. */
  get url(): string {
    const url = new URL(this.#target);
    url.hostname = '127.0.0.1';
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  freeze(): void {
    this.#frozen = true;
  }

  /** What was held back arrives now, in order, the end of a connection included. */
  thaw(): void {
    this.#frozen = false;
    for (const pass of this.#held.splice(0)) pass();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket): void {
    const database = connect(Number(this.#target.port || 5432), this.#target.hostname);
    this.#pass(client, database);
    this.#pass(database, client);
  }

  #pass(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on('data', (chunk) => this.#do(() => to.write(chunk)));
    from.on('close', () => this.#do(() => to.destroy()));
    from.on('error', () => {});
  }

  #do(action: () => void): void {
    if (this.#frozen) this.#held.push(action);
    else action();
  }
}

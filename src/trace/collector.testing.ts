/** A collector for tests: keeps what it is sent, and behaves as badly as it is told to. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Batch {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly names: readonly string[];
  readonly resource: Readonly<Record<string, unknown>>;
}

/** answers; takes what it is sent and says nothing; ends the connection; answers 401. */
export type Behaviour = 'answer' | 'be silent' | 'hang up' | 'refuse';

export interface Collector {
  readonly url: string;
  readonly batches: readonly Batch[];
  /** How often it was asked, whatever came of it. */
  readonly asked: number;
  behave(behaviour: Behaviour): void;
  close(): Promise<void>;
}

interface Export {
  resourceSpans: { resource: { attributes: { key: string; value: Record<string, unknown> }[] }; scopeSpans: { spans: { name: string }[] }[] }[];
}

export async function startCollector(first: Behaviour = 'answer'): Promise<Collector> {
  const batches: Batch[] = [];
  let behaviour = first;
  let asked = 0;
  const server = createServer((request, reply) => {
    asked += 1;
    if (behaviour === 'hang up') return void request.socket.destroy();
    if (behaviour === 'refuse') return void request.resume().on('end', () => reply.writeHead(401).end('a page that quotes s3cret'));
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Export;
      const names = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)));
      const resource = Object.fromEntries(resourceSpans[0]!.resource.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
      batches.push({ path: request.url!, headers: request.headers, names, resource });
      if (behaviour === 'answer') reply.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    batches,
    get asked() {
      return asked;
    },
    behave: (next) => (behaviour = next),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

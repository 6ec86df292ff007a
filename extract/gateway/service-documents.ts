/**
 * What the services say of their routes, asked for in the background: the gateway answers from the first moment on, and knows more
 * with each document. A module whose document is not known yet is passed everything that lies under its paths.
 *
 *   unknown --asked, each half second--> known --asked anew, each minute--> known
 *
 * What was known of a service that does not answer any more stays: its routes are the same when it is back.
 */
import type { Logger } from 'pino';
import type { KnownRoute } from '../../src/http/forward.ts';
import type { Replicas } from '../../src/wire/replicas.ts';
import { askService } from './ask-service.ts';
import { KnownRoutes } from './known-routes.ts';
import { type OpenApiDocument, partOf } from './openapi-document.ts';
import type { ForwardedModule } from './forwarded-module.ts';

const UNKNOWN_AGAIN_MS = 500;
const REFRESH_MS = 60_000;
const TIMEOUT_MS = 5_000;

interface Known {
  /** By `performance.now()`. */
  readonly askedAt: number;
  readonly part: OpenApiDocument;
  readonly routes: KnownRoutes;
}

export class ServiceDocuments {
  readonly #modules: readonly ForwardedModule[];
  readonly #replicas: Replicas;
  readonly #log: Logger;
  readonly #known = new Map<string, Known>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(modules: readonly ForwardedModule[], replicas: Replicas, log: Logger) {
    this.#modules = modules;
    this.#replicas = replicas;
    this.#log = log;
  }

  /** Resolves after the first round, whoever answered. */
  async start(): Promise<void> {
    await this.#askAll();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  /** Of the services that have been heard of, in the order of the modules. */
  get parts(): readonly OpenApiDocument[] {
    return this.#modules.flatMap(({ name }) => this.#known.get(name)?.part ?? []);
  }

  routeOf(module: string, method: string, url: string): KnownRoute | undefined {
    return this.#known.get(module)?.routes.find(method, url);
  }

  async #askAll(): Promise<void> {
    const asked = new Map<string, Promise<OpenApiDocument>>();
    const latest = performance.now() - REFRESH_MS;
    const due = this.#modules.filter(({ name }) => (this.#known.get(name)?.askedAt ?? Number.NEGATIVE_INFINITY) <= latest);
    await Promise.all(due.map(async (module) => this.#ask(module, asked)));
    if (this.#stopped) return;
    const isComplete = this.#modules.every(({ name }) => this.#known.has(name));
    this.#timer = setTimeout(() => void this.#askAll(), isComplete ? REFRESH_MS : UNKNOWN_AGAIN_MS).unref();
  }

  /** @param asked questions of this round: a service that has several modules is asked once */
  async #ask({ name, prefixes }: ForwardedModule, asked: Map<string, Promise<OpenApiDocument>>): Promise<void> {
    const replica = this.#replicas.choose(name);
    if (!replica) return;
    const question = asked.get(replica.origin) ?? askService<OpenApiDocument>(replica, '/openapi.json', TIMEOUT_MS);
    asked.set(replica.origin, question);
    try {
      const part = partOf(await question, prefixes);
      this.#known.set(name, { askedAt: performance.now(), part, routes: new KnownRoutes(part.paths!) });
    } catch (error) {
      if (!this.#stopped) this.#log.debug({ err: error, callee: name }, 'a service does not say which routes it has; it is asked again');
    }
  }
}

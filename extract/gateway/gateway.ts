/**
 * The gateway: one address in front of the services of a deployment, with the public API that one process would have. It is the kernel's
 * HTTP door with other rooms behind it, so that limits, problems, ids and metrics are the same; it knows modules by their
 * definitions, and has no business of its own.
 *
 * Ready as soon as there is a service to send anything to. That one of them is down is no reason to take the gateway out: all gateways
 * would go, and with them what works.
 */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { CallError } from '../../src/contract/errors.ts';
import { inDependencyOrder } from '../../src/host/discover.ts';
import { eventDeskContract } from '../../src/host/event-desk.ts';
import { EventOperations } from '../../src/host/event-operations.ts';
import { eventRoutes } from '../../src/host/event-routes.ts';
import { platform } from '../../src/host/platform.ts';
import { GATEWAY } from '../../src/host/served.ts';
import type { Peers } from '../../src/host/peers.ts';
import { tokenIssuer } from '../../src/host/token-issuer.ts';
import { BODY_LIMIT } from '../../src/http/body.ts';
import type { Forwarding } from '../../src/http/forward.ts';
import { listen } from '../../src/http/listen.ts';
import type { Readiness } from '../../src/http/platform-routes.ts';
import { createHttpServer, type HttpModule } from '../../src/http/server.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import type { AnyModule } from '../../src/module.ts';
import type { KernelSettings } from '../../src/settings/settings.ts';
import type { Tracing } from '../../src/trace/tracing.ts';
import type { Discovery } from '../../src/wire/discovery.ts';
import { wirePeers } from '../../src/wire/peers.ts';
import { Replicas } from '../../src/wire/replicas.ts';
import type { ServiceTokens } from '../../src/wire/service-tokens.ts';
import { type ForwardedModule, forwardedModule } from './forwarded-module.ts';
import type { GatewaySettings } from './gateway-settings.ts';
import { merged, type OpenApiDocument } from './openapi-document.ts';
import { Passage } from './passage.ts';
import { ServiceDocuments } from './service-documents.ts';
import { ServiceHealth } from './service-health.ts';

export interface GatewayOptions {
  /** All modules that there are. */
  readonly modules: readonly AnyModule[];
  /** Origins of the public listeners, by module. Closed with the gateway, as the other one is. */
  readonly publicly: Discovery;
  /** Origins of the internal listeners. */
  readonly internally: Discovery;
  readonly tokens: ServiceTokens;
  readonly settings: KernelSettings & Pick<GatewaySettings, 'UPSTREAM_TIMEOUT_MS'>;
  readonly log: Logger;
  readonly tracing?: Tracing | undefined;
  /** Most bytes that a request may bring; those that the services take unless told otherwise. */
  readonly bodyLimit?: number | undefined;
}

/** More than one process can serve of a service that works; the rest waits its turn within its deadline. */
const CONNECTIONS = 512;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #modules: readonly ForwardedModule[];
  readonly #metrics = createMetrics();
  readonly #replicas: Replicas;
  readonly #documents: ServiceDocuments;
  readonly #health: ServiceHealth;
  readonly #peers: Peers;
  #http: FastifyInstance | undefined;
  #url = '';
  #state: 'starting' | 'ready' | 'draining' = 'starting';
  #stopped: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    const { modules, publicly, internally, tokens, settings, log, tracing } = options;
    this.#options = options;
    this.#modules = inDependencyOrder(modules).map(forwardedModule);
    this.#replicas = new Replicas(publicly, { connections: CONNECTIONS, answerBytes: -1 });
    this.#documents = new ServiceDocuments(this.#modules, this.#replicas, log);
    this.#health = new ServiceHealth(publicly, this.#replicas);
    this.#peers = wirePeers({ discovery: internally, tokens, handlerTimeoutMs: settings.EVENT_HANDLER_TIMEOUT_MS })({ metrics: this.#metrics, log, tracing });
  }

  get url(): string {
    return this.#url;
  }

  async start(): Promise<this> {
    const { settings } = this.#options;
    this.#http = await this.#server();
    const { HOST, PORT } = settings;
    this.#url = await listen(this.#http, { host: HOST, port: PORT });
    await this.#documents.start();
    this.#state = 'ready';
    return this;
  }

  /** Requests in hand are answered; no more are taken. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#drain());
  }

  async #drain(): Promise<void> {
    this.#state = 'draining';
    this.#documents.stop();
    await this.#http?.close();
    await this.#peers.close();
    await this.#replicas.close();
    await this.#options.publicly.close();
  }

  /** Clients that do not finish what they have begun are hung up on. */
  hangUp(): void {
    this.#http?.server.closeAllConnections();
  }

  async #server(): Promise<FastifyInstance> {
    const { log, tracing, settings } = this.#options;
    return createHttpServer({
      log,
      metrics: this.#metrics,
      tracing,
      settings,
      countedAs: GATEWAY,
      tokenIssuer: tokenIssuer(() => this.#issuer()),
      modules: this.#modules.map((module) => this.#httpModule(module)),
      operators: { errors: platform.errors, routes: eventRoutes(this.#events()) },
      ready: async () => this.#ready(),
      enter: () => () => undefined,
      document: (own) => merged(own as OpenApiDocument, this.#documents.parts),
    });
  }

  #httpModule(module: ForwardedModule): HttpModule {
    const { name, summary, paths } = module;
    return { name, summary, errors: {}, paths, health: async () => this.#health.of(name), ...(paths.length > 0 && { elsewhere: this.#forwarding(module) }) };
  }

  #forwarding({ name }: ForwardedModule): Forwarding {
    const deadlineMs = this.#options.settings.UPSTREAM_TIMEOUT_MS;
    const passage = { module: name, replicas: this.#replicas, silenceMs: deadlineMs, bodyLimit: this.#options.bodyLimit ?? BODY_LIMIT };
    return {
      deadlineMs,
      routeOf: ({ method, raw }) => this.#documents.routeOf(name, method, raw.url!),
      forward: (request, reply) => new Passage(passage, request, reply).begin(),
    };
  }

  /** No service has the events of all modules: each is asked for its own. */
  #events(): EventOperations {
    return new EventOperations(this.#options.modules, (module) => this.#peers.client(eventDeskContract(module), GATEWAY));
  }

  /** By convention the module that signs tokens is the one with the operation `getTokenKeys`. */
  #issuer() {
    const issuer = this.#options.modules.find(({ contract }) => 'getTokenKeys' in contract.operations);
    if (!issuer) throw new CallError('UNAVAILABLE', 'no module is known to sign tokens');
    return this.#peers.client(issuer.contract, GATEWAY);
  }

  async #ready(): Promise<Readiness> {
    if (this.#state !== 'ready') return { ready: false, reasons: [this.#state] };
    const states = await Promise.all(this.#modules.map(async ({ name }) => this.#health.of(name)));
    return states.some((state) => state !== 'unhealthy') ? { ready: true, reasons: [] } : { ready: false, reasons: ['no service can be reached'] };
  }
}

/** Starts a gateway; on failure what was opened is closed again. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const gateway = new Gateway(options);
  try {
    return await gateway.start();
  } catch (error) {
    await gateway.stop().catch(() => undefined);
    throw error;
  }
}

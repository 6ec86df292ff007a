/** The public listener: routes of modules, behind one door, with what the public API promises for all of them. */
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import type { ErrorSpec } from '../contract/contract.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Tracing } from '../trace/tracing.ts';
import { createAdmission, type TokenIssuer } from './auth.ts';
import { acceptJson, BODY_LIMIT } from './body.ts';
import { answerBrokenRequest } from './broken-requests.ts';
import { serveDocs } from './docs.ts';
import { drainOnClose, InHand } from './drain.ts';
import { answerError, handleErrors } from './error-handling.ts';
import { DEFAULT_DEADLINE_MS, type Exchange, type RouteFacts } from './exchange.ts';
import { acceptAllMethods, type Forwarding, mountForwarding } from './forward.ts';
import { type Door, mount, type Owner } from './mount.ts';
import { type About, Documentation, type Tag } from './openapi.ts';
import { Overload } from './overload.ts';
import { type ModuleHealth, platformRoutes, type Readiness } from './platform-routes.ts';
import { createLimits } from './rate-limit.ts';
import type { RoutesPlugin } from './route.ts';
import { requestIdOf } from './trace.ts';
import { trustProxyOf } from './trust-proxy.ts';
import { createValidatorCompiler, validationError } from './validation.ts';

/** Named like the environment variables that they come from. */
export interface HttpSettings {
  /** Whose X-Forwarded-* headers to believe: `true`, `false`, a number of hops or addresses of proxies. */
  readonly TRUST_PROXY: string;
  /** Requests a minute per user or address; 0 (the default here) lifts all limits. */
  readonly RATE_LIMIT_PER_MINUTE?: number;
  /** Where requests are counted for all processes together; without it each process counts by itself. */
  readonly REDIS_URL?: string | undefined;
  /** How long requests may keep waiting for the event loop or the database, in ms, before others get 503; 0 (the default here): however long. */
  readonly OVERLOAD_DELAY_MS?: number;
  /** How long a request may take to arrive, in ms; default 30 s. */
  readonly REQUEST_TIMEOUT_MS?: number;
  /** How long a server that closes still takes connections, in ms; 0 (the default here): not at all. */
  readonly SHUTDOWN_NOTICE_MS?: number;
  /** How long it waits for clients to come to an end, in ms; 10 s unless given. */
  readonly SHUTDOWN_TIMEOUT_MS?: number;
}

/** What the process itself offers to its operators, under the same rules as the routes of modules. */
export interface OperatorRoutes {
  readonly errors: Readonly<Record<string, ErrorSpec>>;
  /** Mounted under `/api/v1`. */
  readonly routes: RoutesPlugin;
}

/** What the listener needs of a module. */
export interface HttpModule {
  readonly name: string;
  readonly summary: string;
  readonly errors: Readonly<Record<string, ErrorSpec>>;
  /** Mounted under `/api/v1`. */
  readonly routes?: RoutesPlugin | undefined;
  /** What the routes begin with; anything where nothing is said. */
  readonly paths?: readonly string[] | undefined;
  /** Mounted without a base path, for what standards put at fixed places. */
  readonly rootRoutes?: RoutesPlugin | undefined;
  /** In the place of routes: where what comes under its paths is sent. */
  readonly elsewhere?: Forwarding | undefined;
  health(): ModuleHealth | Promise<ModuleHealth>;
}

export interface HttpServerOptions {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracing?: Tracing | undefined;
  readonly settings: HttpSettings;
  readonly tokenIssuer: TokenIssuer;
  readonly modules: readonly HttpModule[];
  readonly operators?: OperatorRoutes;
  ready(): Readiness | Promise<Readiness>;
  /** Counts work in flight per module; throws CallError UNAVAILABLE when its gate is closed. Returns what ends the work. */
  enter(module: string): () => void;
  /** The shortest wait of a request, and of what it sets off, for connections of the busiest pool since it was last asked, in ms. */
  databaseDelayMs?(): number;
  /** What the OpenAPI document says of itself. */
  readonly about?: About;
  /** Completes the document of the routes here with those that are elsewhere. */
  document?(own: object): object;
  /** Sets what is counted for rate limits apart from what others count in the same Redis. */
  readonly countedAs?: string | undefined;
}

const BASE_PATH = '/api/v1';
const PLATFORM = 'platform';
/** A request must have arrived by then; slower clients hold a connection, nothing else. */
const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;
/** How often that is looked at. Node.js does so every 30 s, which would let requests take up to twice their time. */
const LOOK_FOR_LATE_MS = 1_000;

const DEFAULT_ABOUT: About = {
  title: 'Cleave',
  version: '1.0.0',
  description: 'The public API. Errors are problem documents (RFC 9457); programs should look at their `code`.',
};

/**
 * Makes the server; the caller listens, and closes it to drain: requests in hand finish, connections are closed.
 * @throws TypeError when a module's routes break a rule, e.g. one that does not say who may call it
 */
export async function createHttpServer(options: HttpServerOptions): Promise<FastifyInstance> {
  const { log, metrics, settings, tracing } = options;
  const inHand = new InHand();
  const app = bareServer(options, { ...platformFacts(options, inHand, 'unmatched'), tracing });
  drainOnClose(app, inHand, { noticeMs: settings.SHUTDOWN_NOTICE_MS ?? 0, timeoutMs: settings.SHUTDOWN_TIMEOUT_MS ?? 10_000 });
  answerHalfClosed(app, inHand);
  const documentation = new Documentation();
  await documentation.install(app, options.about ?? DEFAULT_ABOUT, tagsOf(options));
  const door: Door = {
    admission: await createAdmission(app, options.tokenIssuer, log),
    limits: await createLimits(app, { perMinute: settings.RATE_LIMIT_PER_MINUTE ?? 0, redisUrl: settings.REDIS_URL, log, countedAs: options.countedAs }),
    overload: watchOverload(app, options),
    metrics,
    documentation,
    inHand,
    tracing,
  };
  await mountAll(app, options, door);
  await serveDocs(app, platformFacts(options, inHand, '/docs'), options.document);
  await app.ready();
  return app;
}

function watchOverload(app: FastifyInstance, { settings, metrics, log, databaseDelayMs }: HttpServerOptions): Overload {
  const overload = new Overload({ delayMs: settings.OVERLOAD_DELAY_MS ?? 0, databaseDelayMs: databaseDelayMs ?? (() => 0), log });
  metrics.openRequests(() => overload);
  app.addHook('onClose', async () => overload.stop());
  return overload;
}

function bareServer({ settings }: HttpServerOptions, unmatched: RouteFacts): FastifyInstance {
  const requestTimeout = settings.REQUEST_TIMEOUT_MS ?? DEFAULT_REQUEST_TIMEOUT_MS;
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    requestTimeout,
    // Node.js gives the whole request the longer one of both times, and the headers 60 s unless told otherwise.
    http: { requestTimeout, headersTimeout: requestTimeout, connectionsCheckingInterval: LOOK_FOR_LATE_MS },
    trustProxy: trustProxyOf(settings.TRUST_PROXY),
    genReqId: (raw) => requestIdOf(raw.headers),
    schemaErrorFormatter: validationError,
    frameworkErrors: (error, request, reply) => answerError(error, request, reply, unmatched),
    clientErrorHandler: answerBrokenRequest,
    return503OnClosing: false,
    // It counts for closing too: a drain of more than 10 s would end in an error, and with the process.
    pluginTimeout: 0,
  });
  app.decorateRequest('actor', null);
  app.decorateRequest('exchange', null);
  app.decorateRequest('call', { getter: callOf });
  app.setValidatorCompiler(createValidatorCompiler());
  acceptJson(app);
  handleErrors(app, unmatched);
  ignoreExpectations(app);
  return app;
}

/** Those that nobody knows may be ignored (RFC 9110, section 10.1.1); Node.js would answer 417 in our place, with no problem document. */
function ignoreExpectations({ server }: FastifyInstance): void {
  server.on('checkExpectation', (request, reply) => server.emit('request', request, reply));
}

/** A client may close its side once its request is sent, and wait; Node.js would hang up, and carry out without an answer what it was sent. */
function answerHalfClosed({ server }: FastifyInstance, inHand: InHand): void {
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('connection', (socket) => socket.once('end', () => inHand.clientSendsNoMore(socket)));
}

function callOf(this: { exchange: Exchange | null }): Exchange['call'] {
  if (!this.exchange) throw new TypeError('request.call is there for routes of modules only');
  return this.exchange.call;
}

async function mountAll(app: FastifyInstance, options: HttpServerOptions, door: Door): Promise<void> {
  const state = { registry: options.metrics.registry, modules: options.modules, ready: () => options.ready() };
  const platform: Owner = { name: PLATFORM, errors: {}, log: options.log.child({ module: PLATFORM }), enter: () => () => undefined };
  // What probes and scrapers ask every few seconds is no trace.
  await mount(app, platform, platformRoutes(state), '', { ...door, limits: () => undefined, overload: undefined, tracing: undefined });
  if (options.operators) await mount(app, { ...platform, errors: options.operators.errors }, options.operators.routes, BASE_PATH, { ...door, overload: undefined });
  if (options.modules.some(({ elsewhere }) => elsewhere)) acceptAllMethods(app);
  for (const { name, errors, routes, rootRoutes, paths, elsewhere } of options.modules) {
    const owner: Owner = { name, errors, paths, log: options.log.child({ module: name }), enter: () => options.enter(name) };
    if (routes) await mount(app, owner, routes, BASE_PATH, door);
    if (rootRoutes) await mount(app, owner, rootRoutes, '', door);
    if (elsewhere) await mountForwarding(app, owner, elsewhere, [BASE_PATH, ''], door);
  }
}

function platformFacts({ log, metrics }: HttpServerOptions, inHand: InHand, url: string): RouteFacts {
  return {
    module: PLATFORM,
    method: 'any',
    url,
    errors: {},
    deadlineMs: DEFAULT_DEADLINE_MS,
    recorder: metrics.route({ module: PLATFORM, method: 'any', route: url }),
    inHand,
    log: log.child({ module: PLATFORM }),
  };
}

function tagsOf({ modules }: HttpServerOptions): Tag[] {
  const withRoutes = modules.filter(({ routes, rootRoutes, elsewhere }) => routes ?? rootRoutes ?? elsewhere);
  const tags = withRoutes.map(({ name, summary }) => ({ name, description: summary }));
  return [...tags, { name: PLATFORM, description: 'The process as operators see it.' }];
}

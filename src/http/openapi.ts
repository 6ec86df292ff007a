/** The OpenAPI 3.1 document: written from the routes' schemas, so that it cannot say what the routes do not do. */
import { STATUS_CODES } from 'node:http';
import swagger from '@fastify/swagger';
import type { FastifyInstance, RouteOptions } from 'fastify';
import type { ErrorSpec } from '../contract/contract.ts';
import { type KernelCode, kernelErrors } from '../contract/errors.ts';
import { roles } from './auth.ts';
import { PROBLEM_TYPE } from './problem.ts';
import { problemSchema } from './problem-schema.ts';
import type { Access } from './route.ts';

/** What a document says of itself. */
export interface About {
  readonly title: string;
  readonly version: string;
  readonly description: string;
}

export interface Tag {
  readonly name: string;
  readonly description: string;
}

/** What the document says of a route beyond its schemas. */
interface Documented {
  readonly module: string;
  readonly access: Access;
  /** What comes with the request is read: a body is validated, or refused where the route takes none. */
  readonly readsBody: boolean;
  /** A header of the route is an idempotency key. */
  readonly keyed: boolean;
  /** The module's catalogue, and those of its codes that the route may answer with. */
  readonly errors: Readonly<Record<string, ErrorSpec>>;
  readonly refusals: readonly string[];
}

interface Operation {
  operationId?: string;
  security?: object[];
  responses?: Record<string, { description?: string; $ref?: string }>;
}

interface Document {
  paths?: Record<string, Record<string, Operation> | undefined>;
  components?: { responses?: Record<string, object> };
}

const BEARER = 'bearer';
const IDEMPOTENCY_KEY = 'idempotency-key';

export class Documentation {
  readonly #routes = new Map<string, Documented>();

  /** Installs the generator. Do it before any route is registered: it hears of those that come after. */
  async install(app: FastifyInstance, about: About, tags: readonly Tag[]): Promise<void> {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { ...about, license: { name: 'MIT', identifier: 'MIT' } as { name: string } },
        servers: [{ url: '/' }],
        tags: [...tags],
        components: {
          securitySchemes: { [BEARER]: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
          schemas: { Problem: problemSchema },
        },
      },
      transformObject: (document) => {
        const { openapiObject } = document as { openapiObject: Document };
        this.#complete(openapiObject);
        return openapiObject as never;
      },
    });
  }

  /** Takes note of a route, and fills in its operation id and tag where it gives none. */
  add(route: RouteOptions, facts: Pick<Documented, 'module' | 'access' | 'errors'>): void {
    if (route.method === 'HEAD') return;
    const { operationId = operationIdOf(String(route.method), route.url) } = (route.schema ?? {}) as { operationId?: string };
    route.schema = { tags: [facts.module], ...route.schema, operationId } as NonNullable<RouteOptions['schema']>;
    this.#routes.set(operationId, { ...facts, readsBody: route.method !== 'GET', keyed: isKeyed(route), refusals: refusalsOf(route, facts.errors) });
  }

  #complete(document: Document): void {
    const shared: Record<string, object> = {};
    for (const operation of Object.values(document.paths ?? {}).flatMap((path) => Object.values(path ?? {}))) {
      const route = this.#routes.get(operation.operationId ?? '');
      if (!route) continue;
      operation.security = securityOf(route.access);
      operation.responses = { ...named(operation.responses ?? {}), ...problemsOf(route, operation.responses ?? {}, shared) };
    }
    document.components = { ...document.components, responses: shared };
  }
}

function securityOf(access: Access): object[] {
  if (access === 'anyone') return [];
  return access === 'optional' ? [{}, { [BEARER]: [] }] : [{ [BEARER]: [] }];
}

function named(responses: NonNullable<Operation['responses']>): NonNullable<Operation['responses']> {
  for (const [status, response] of Object.entries(responses)) {
    if (response.description === 'Default Response') response.description = STATUS_CODES[status] ?? 'The result';
  }
  return responses;
}

/** The problems that a route may answer with: those of every route of its kind, and the refusals it declares. */
function problemsOf(route: Documented, known: object, shared: Record<string, object>): Record<string, { $ref: string } | object> {
  const codes = [...kernelCodesOf(route), ...route.refusals];
  const byStatus = Map.groupBy(codes, (code) => String(specOf(route, code).status));
  const unsaid = [...byStatus].filter(([status]) => !(status in known));
  const problems = unsaid.map(([status, group]) => {
    const name = group.join('Or');
    shared[name] ??= response(group.map((code) => `\`${code}\`: ${specOf(route, code).title}`).join('; '));
    return [status, { $ref: `#/components/responses/${name}` }];
  });
  shared['Problem'] ??= response('Anything else that goes wrong');
  return { ...Object.fromEntries(problems), default: { $ref: '#/components/responses/Problem' } };
}

function kernelCodesOf({ access, readsBody, keyed, module }: Documented): KernelCode[] {
  const open = access === 'anyone' || access === 'optional' || roles.every((role) => access.includes(role));
  return [
    'VALIDATION_FAILED',
    ...(readsBody ? (['MALFORMED_BODY', 'BODY_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE'] as const) : []),
    ...(keyed ? (['IDEMPOTENCY_KEY_REUSED', 'IDEMPOTENCY_IN_PROGRESS'] as const) : []),
    ...(access === 'anyone' ? [] : (['UNAUTHENTICATED'] as const)),
    ...(open ? [] : (['FORBIDDEN'] as const)),
    ...(module === 'platform' && access === 'anyone' ? [] : (['RATE_LIMITED', 'UNAVAILABLE'] as const)),
  ];
}

function specOf(route: Documented, code: string): ErrorSpec {
  return route.errors[code] ?? kernelErrors[code as KernelCode];
}

function response(description: string): object {
  return { description, content: { [PROBLEM_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } } };
}

function isKeyed({ schema }: RouteOptions): boolean {
  const { properties = {} } = (schema?.headers ?? {}) as { properties?: object };
  return IDEMPOTENCY_KEY in properties;
}

/** @throws TypeError when the route declares a code that its module's catalogue lacks */
function refusalsOf(route: RouteOptions, errors: Documented['errors']): readonly string[] {
  const refusals = route.config?.errors ?? [];
  const unknown = refusals.find((code) => !Object.hasOwn(errors, code));
  if (unknown === undefined) return refusals;
  const label = `${String(route.method)} ${route.url}`;
  throw new TypeError(`${label} names the error ${unknown} in config.errors, which its module's catalogue lacks: add it to the contract`);
}

/** `GET /api/v1/orders/:id/history` → `getOrdersIdHistory`. */
function operationIdOf(method: string, url: string): string {
  const words = url.replace(/^\/api\/v\d+/, '').split(/[^A-Za-z0-9]+/).filter(Boolean);
  return [method.toLowerCase(), ...words.map((word) => word[0]!.toUpperCase() + word.slice(1))].join('');
}

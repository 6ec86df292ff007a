/** The OpenAPI document as a judge: whether a reply is one that it declares, and keeps to itself what is nobody's business. */
import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Reply } from '#testing';
import { leaks, Said } from './leaks.testing.ts';

/** JSON Schema as the document has it; only what is looked at here. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly Schema[];
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

interface Media {
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>;
}

export interface Operation {
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  /** Method and path. */
  readonly name: string;
  /** Names of modules. */
  readonly tags: readonly string[];
  readonly parameters: readonly Parameter[];
  readonly body: Schema | undefined;
  readonly responses: Readonly<Record<string, Media>>;
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, RawOperation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Media>> };
}

interface RawOperation {
  readonly tags?: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: Media;
  readonly responses: Readonly<Record<string, Media & { readonly $ref?: string }>>;
}

export const PROBLEM = 'application/problem+json';

export class Conformity {
  readonly operations: readonly Operation[];
  /** What requests said, for those who look whether a reply tells of the inside: it may repeat that. */
  readonly said = new Said();
  readonly #document: Document;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<Schema, ValidateFunction>();

  constructor(document: unknown) {
    this.#document = document as Document;
    this.operations = Object.entries(this.#document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => this.#operation(method.toUpperCase(), path, operation)),
    );
  }

  operation(name: string): Operation | undefined {
    return this.operations.find((operation) => operation.name === name);
  }

  /** What a request comes to; of `/users/me` and `/users/{id}` the one that says so. */
  operationAt(method: string, path: string): Operation | undefined {
    return this.operation(`${method} ${path}`) ?? this.operations.find((operation) => operation.method === method && leadsTo(operation.path, path));
  }

  /** What is wrong with a reply to `url`, in words; nothing when all is well. */
  complaints(operation: Operation, url: string, reply: Reply): string[] {
    return [...this.#undeclared(operation, reply), ...(reply.status >= 400 ? problemComplaints(url, reply) : []), ...headerComplaints(reply), ...leaks(reply.body, this.#mayRepeat(reply))];
  }

  /** Problems are written by us; at the most they name what was wrong in this request. */
  #mayRepeat({ headers }: Reply): Said {
    return headers.get('content-type') === PROBLEM ? this.said.last : this.said;
  }

  #undeclared({ responses }: Operation, reply: Reply): string[] {
    const declared = responses[reply.status];
    if (!declared) return [`the status ${reply.status} (${reply.body?.code}) is not declared`];
    const [[type, { schema }] = [undefined, {}] as const] = Object.entries(declared.content ?? {}) as [string, { schema: Schema }][];
    const sent = reply.headers.get('content-type')?.split(';', 1)[0];
    if (!type || !schema) return reply.body === '' ? [] : ['a body came where none is declared'];
    if (sent !== type) return [`the content type is ${sent}, declared is ${type}`];
    const validate = this.#validator(schema);
    return validate(reply.body) ? [] : [`the body does not fit: ${this.#ajv.errorsText(validate.errors)}`];
  }

  /** References of the document are resolved against the schema itself, which therefore carries the components. */
  #validator(schema: Schema): ValidateFunction {
    const known = this.#validators.get(schema);
    if (known) return known;
    const compiled = this.#ajv.compile({ ...schema, components: this.#document.components });
    this.#validators.set(schema, compiled);
    return compiled;
  }

  #operation(method: string, path: string, raw: RawOperation): Operation {
    const { tags = [], parameters = [], requestBody } = raw;
    const responses = Object.fromEntries(Object.entries(raw.responses).map(([status, response]) => [status, this.#resolved(response)]));
    const body = Object.values(requestBody?.content ?? {})[0]?.schema;
    return { method, path, name: `${method} ${path}`, tags, parameters, body, responses };
  }

  #resolved(response: Media & { readonly $ref?: string }): Media {
    return response.$ref === undefined ? response : this.#document.components.responses[response.$ref.split('/').at(-1)!]!;
  }
}

/** Whether a path is one of a template's. `/products/search` is also what `/products/{id}` leads to, for methods that search does not take. */
export function leadsTo(template: string, path: string): boolean {
  return new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);
}

/** RFC 9457 and what the public API adds to it. */
function problemComplaints(url: string, { status, body, headers }: Reply): string[] {
  if (headers.get('content-type') !== PROBLEM) return [];
  const instance = new URL(url, 'http://shop').pathname;
  const claims: readonly (readonly [boolean, string])[] = [
    [body.status === status, `status is ${body.status}`],
    [body.type === `urn:cleave:problem:${body.code}`, `type is ${body.type}`],
    [body.instance === instance, `instance is ${body.instance}`],
    [body.detail !== '', 'detail is empty'],
    [headers.get('traceparent')?.includes(body.traceId) === true, 'traceId is not the one of traceparent'],
    [status !== 400 || body.errors?.length > 0, 'a 400 names no errors'],
    [(status !== 429 && status !== 503) || headers.has('retry-after'), 'there is no Retry-After'],
    [status !== 401 || headers.has('www-authenticate'), 'there is no WWW-Authenticate'],
  ];
  return claims.filter(([holds]) => !holds).map(([, complaint]) => complaint);
}

function headerComplaints({ headers }: Reply): string[] {
  const missing = ['x-request-id', 'traceparent', 'x-content-type-options'].filter((name) => !headers.has(name));
  const telling = ['server', 'x-powered-by'].filter((name) => headers.has(name));
  return [...missing.map((name) => `the header ${name} is missing`), ...telling.map((name) => `the header ${name} tells what made the reply`)];
}

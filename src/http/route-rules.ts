/** What every route must say, and what is made of its schemas before they are compiled. */
import type { RouteOptions } from 'fastify';
import { roles } from './auth.ts';
import type { Access } from './route.ts';
import { foldNullable, refuseUnknown } from './strict-schema.ts';

/** @throws TypeError when the route does not say who may call it */
export function accessOf(route: RouteOptions, label: string): Access {
  const access = route.config?.access;
  if (access === 'anyone' || access === 'optional' || isRoleList(access)) return access;
  throw new TypeError(`${label} does not say who may call it: set config.access to 'anyone', 'optional' or a list of ${roles.join(', ')}`);
}

/** @throws TypeError when the route's path begins with none of those that its owner declares: a gateway would not find it */
export function requirePath(path: string, { paths }: { readonly paths?: readonly string[] | undefined }, label: string): void {
  if (paths === undefined || paths.some((own) => path === own || path.startsWith(`${own}/`))) return;
  throw new TypeError(`${label} lies outside the paths of its module (${paths.join(', ') || 'none'}): add what it begins with to paths in module.ts`);
}

function isRoleList(access: Access | undefined): access is Exclude<Access, string> {
  return Array.isArray(access) && access.length > 0 && access.every((role) => roles.includes(role));
}

type Schema = NonNullable<RouteOptions['schema']>;
type Parts = Readonly<Partial<Record<'body' | 'querystring' | 'params' | 'headers' | 'response', object>>>;

const NO_QUERY = { type: 'object', properties: {}, additionalProperties: false };

/** What is not in the document escapes whatever is held against it: the tests of roles, of replies and of odd input ask the routes that it has. */
const HIDING_TAG = 'X-HIDDEN';

/** @throws TypeError when the OpenAPI document would be silent about the route */
export function refuseHiding({ schema }: RouteOptions, label: string): void {
  const { hide, tags = [] } = (schema ?? {}) as { hide?: boolean; tags?: readonly string[] };
  if (hide || tags.includes(HIDING_TAG)) {
    throw new TypeError(`${label} hides itself from the OpenAPI document: remove ${hide ? 'schema.hide' : `the tag ${HIDING_TAG}`}; who may not call it is kept out by config.access`);
  }
}

/**
 * Refuses what a route does not name: fields, parameters, and a query where it has none.
 * @throws TypeError when a header is named as none arrives
 */
export function strictSchema(schema: Schema, label: string): Schema {
  const { body, querystring, params, headers, response } = schema as Parts;
  checkHeaderNames(headers, label);
  return {
    ...schema,
    querystring: querystring ? refuseUnknown(querystring) : NO_QUERY,
    ...(body && { body: refuseUnknown(body) }),
    ...(params && { params: refuseUnknown(params) }),
    ...(response && { response: foldAll(response) }),
  };
}

function checkHeaderNames(headers: { readonly properties?: object } | undefined, label: string): void {
  const shouting = Object.keys(headers?.properties ?? {}).find((name) => name !== name.toLowerCase());
  if (shouting) throw new TypeError(`${label} names the header ${shouting}: write it in lower case, as Node.js hands it over`);
}

function foldAll(response: object): object {
  return Object.fromEntries(Object.entries(response).map(([status, reply]) => [status, foldNullable(reply as object)]));
}

/** Reads JSON bodies. Refuses what PostgreSQL cannot store, what would poison prototypes and what can be read in two ways, before anything looks at it. */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { CallError } from '../contract/errors.ts';
import { repeatsField } from './repeated-fields.ts';
import { pointer } from './validation.ts';

export const BODY_LIMIT = 100 * 1024;

/** Takes `application/json` and nothing else. An empty body is none: routes that need one say so in their schema. */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const bytes = body as Buffer;
    if (bytes.length === 0) return done(null, undefined);
    if (!isUtf8(bytes)) return done(new CallError('MALFORMED_BODY', 'the body is not UTF-8'));
    const text = bytes.toString('utf8');
    void parse(request, text, (error, value) => {
      if (error) done(error);
      else if (text.includes('\\u') && hasUnstorableText(value)) done(new CallError('MALFORMED_BODY', UNSTORABLE));
      else if (repeatsField(text, value)) done(new CallError('MALFORMED_BODY', REPEATED));
      else done(null, value);
    });
  });
}

const UNSTORABLE = 'a text holds a NUL character or half a surrogate pair';
const REPEATED = 'an object has a field twice: send each once';

/** In valid UTF-8 both can only come from \u escapes. Iterative: a body may nest deeper than the stack. */
function hasUnstorableText(root: unknown): boolean {
  const left = [root];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value === 'string' && isUnstorable(value)) return true;
    if (value === null || typeof value !== 'object') continue;
    for (const [key, item] of Object.entries(value)) {
      if (isUnstorable(key)) return true;
      left.push(item);
    }
  }
  return false;
}

function isUnstorable(text: string): boolean {
  return text.includes('\0') || !text.isWellFormed();
}

/**
 * For routes that take no body. Many clients send `{}` with every POST, which says nothing and is let pass.
 * @throws CallError VALIDATION_FAILED for any other body
 */
export function refuseBody(body: unknown): void {
  const isObject = body !== null && typeof body === 'object' && !Array.isArray(body);
  const [field] = isObject ? Object.keys(body) : [];
  if (isObject && field === undefined) return;
  const place = field === undefined ? { path: '', message: 'must be absent' } : { path: pointer('', field), message: 'is not known here' };
  throw new CallError('VALIDATION_FAILED', 'the route takes no body', { errors: [place] });
}

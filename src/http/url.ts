/** What can be wrong with a URL beyond what the router finds. */
import { CallError } from '../contract/errors.ts';

/**
 * PostgreSQL stores no NUL, and a query that is not percent-encoded UTF-8 would be taken as it stands. Nearly all
 * URLs have no percent sign at all, so the check is one search.
 */
export function urlError(url: string): CallError | undefined {
  if (!url.includes('%')) return undefined;
  if (url.includes('%00')) return invalid('holds a NUL character');
  const query = url.indexOf('?');
  return query === -1 || isDecodable(url.slice(query + 1)) ? undefined : invalid('is not percent-encoded UTF-8');
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function invalid(reason: string): CallError {
  return new CallError('VALIDATION_FAILED', `the URL ${reason}`, { errors: [{ path: '', message: `the URL ${reason}` }] });
}

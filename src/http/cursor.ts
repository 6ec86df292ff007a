/** Opaque keyset cursors: the sort key of the last item of a page, as JSON in base64url. */
import { Buffer } from 'node:buffer';
import { CallError } from '../contract/errors.ts';
import { Uuid } from '../contract/schemas.ts';

/** @param key the sort values of the last item, ending in its unique id */
export function encodeCursor(key: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

const uuid = new RegExp(Uuid.pattern!);

/**
 * @param types the type of each part of the key, e.g. `['number', 'uuid']`; a part that is compared with a uuid
 *   column must be named `uuid`, for PostgreSQL fails on any other text
 * @throws CallError VALIDATION_FAILED for anything that this route did not hand out
 */
export function decodeCursor(cursor: string | undefined, types: readonly ('string' | 'number' | 'uuid')[]): (string | number)[] | undefined {
  if (cursor === undefined) return undefined;
  const key = parse(cursor);
  const fits = Array.isArray(key) && key.length === types.length && key.every((part, i) => isOf(types[i]!, part));
  if (!fits) throw new CallError('VALIDATION_FAILED', 'the cursor is not one of this list', { errors: [{ path: '/cursor', message: 'must be a nextCursor of this list' }] });
  return key as (string | number)[];
}

function isOf(type: 'string' | 'number' | 'uuid', part: unknown): boolean {
  if (type === 'uuid') return typeof part === 'string' && uuid.test(part);
  return typeof part === type && part !== '';
}

function parse(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

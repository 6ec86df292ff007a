/** Products as they are kept in the cache and sent: serialised once, with their entity tag. */
import { createHash } from 'node:crypto';
import type { ProductView } from './product.ts';

export interface Served {
  readonly product: ProductView;
  readonly json: string;
  /** A strong validator (RFC 9110, section 8.8.3): it follows from the bytes that are sent. */
  readonly etag: string;
}

const TAG_LENGTH = 22;

export function serve(product: ProductView): Served {
  const json = JSON.stringify(product);
  return { product, json, etag: `"${createHash('sha256').update(json).digest('base64url').slice(0, TAG_LENGTH)}"` };
}

/** Whether an If-None-Match header (RFC 9110, section 13.1.2) names this entity tag; weak ones count. */
export function namesTag(header: string, etag: string): boolean {
  if (header.trim() === '*') return true;
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

/** Names requests and continues traces (https://www.w3.org/TR/trace-context/) at the public door. */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isSampled, type TraceContext, traceIdOf, traceparentOf } from '../trace/trace-context.ts';

/**
 * Random text, made in bulk and cut up: asking the system for the bytes of one request takes 2.4 µs, and writing
 * them as text three times 0.7.
 */
class Randomness {
  readonly #encoding: 'hex' | 'base64url';
  #text = '';
  #used = 0;

  constructor(encoding: 'hex' | 'base64url') {
    this.#encoding = encoding;
  }

  take(characters: number): string {
    if (this.#used + characters > this.#text.length) {
      this.#text = randomBytes(BULK).toString(this.#encoding);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += characters;
    return this.#text.slice(start, this.#used);
  }
}

/** Bytes; a multiple of three, so that base64url ends evenly. */
const BULK = 3_072;
const hex = new Randomness('hex');
const base64url = new Randomness('base64url');

const SANE_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** The caller's `x-request-id` where it is sane (1 to 64 of A-Z a-z 0-9 . _ -), else a new one. */
export function requestIdOf(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  if (typeof given === 'string' && SANE_ID.test(given)) return given;
  return base64url.take(16);
}

/** Version, trace id, parent id, flags; versions after 00 may have more behind a dash, ff is none. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/;
const TRACEPARENT_LENGTH = 55;

/** Any list of members is passed on as it is (up to what the standard has everybody pass on); a header that is no list is dropped. */
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;

/** The caller's trace; none where the header is missing or malformed. */
export function traceOf(headers: IncomingHttpHeaders): TraceContext | undefined {
  const given = headers['traceparent'];
  if (typeof given !== 'string') return undefined;
  const parts = TRACEPARENT.exec(given);
  const malformed = !parts || (given.startsWith('00') && given.length !== TRACEPARENT_LENGTH);
  if (malformed) return undefined;
  const [, traceId, parentId, flags] = parts;
  const sampled = (Number.parseInt(flags!, 16) & 1) === 1;
  return { traceparent: traceparentOf(traceId!, parentId!, sampled), tracestate: stateOf(headers['tracestate']) };
}

function stateOf(given: string | string[] | undefined): string | undefined {
  const state = String(given ?? '').trim();
  return TRACESTATE.test(state) && state.includes('=') ? state : undefined;
}

/** Where nothing is traced: the id of a new span in the caller's trace, or in a new trace. */
export function continueTrace(given: TraceContext | undefined): string {
  return traceparentOf(given ? traceIdOf(given) : hex.take(32), hex.take(16), given ? isSampled(given) : true);
}

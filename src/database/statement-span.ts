/**
 * The span of what is sent to the database at once, by the semantic conventions for database clients
 * (https://opentelemetry.io/docs/specs/semconv/db/database-spans/). Its texts are sanitised, see statement-text.ts;
 * parameters are never looked at.
 */
import { errorTypeOf } from '../trace/failure.ts';
import { isRecorded, type TraceContext } from '../trace/trace-context.ts';
import type { Attributes, Tracing } from '../trace/tracing.ts';
import { type StatementText, textOf } from './statement-text.ts';

const LONGEST_SUMMARY = 255;
const LONGEST_TEXT = 4_000;
const SQLSTATE = /^[0-9A-Z]{5}$/;

export class StatementSpans {
  readonly #tracing: Tracing;
  readonly #place: Attributes;

  /** @param url of the module's role */
  constructor(tracing: Tracing, schema: string, url: string) {
    this.#tracing = tracing;
    this.#place = placeOf(schema, new URL(url));
  }

  /** Runs what makes one round trip; several statements that go together share a span. Without one outside a trace. */
  async run<T>(call: TraceContext, statements: readonly { readonly text: string }[], roundTrip: () => Promise<T>): Promise<T> {
    if (!isRecorded(call)) return roundTrip();
    const texts = statements.map(({ text }) => textOf(text));
    const name = summaryOf(texts);
    const span = this.#tracing.join(call, { name, kind: 'client', attributes: { ...this.#place, ...factsOf(texts), 'db.query.summary': name } });
    if (!span) return roundTrip();
    try {
      const result = await roundTrip();
      span.end();
      return result;
    } catch (error) {
      const state = errorTypeOf(error);
      if (SQLSTATE.test(state)) span.set('db.response.status_code', state);
      span.end(error);
      throw error;
    }
  }
}

function placeOf(schema: string, url: URL): Attributes {
  const host = url.searchParams.get('host') ?? url.hostname;
  const database = decodeURIComponent(url.pathname.slice(1));
  return { 'db.system.name': 'postgresql', 'db.namespace': `${database}|${schema}`, 'server.address': host, 'server.port': Number(url.port || 5432), 'cleave.module': schema };
}

function factsOf(texts: readonly StatementText[]): Attributes {
  const text = texts.map(({ sanitised }) => sanitised).join('; ').slice(0, LONGEST_TEXT);
  return { 'db.query.text': text, ...(texts.length > 1 && { 'db.operation.batch.size': texts.length }) };
}

/** What the statements do, one after the other; those that do the same once. */
function summaryOf(texts: readonly StatementText[]): string {
  const parts = texts.map(({ summary }) => summary);
  return parts.filter((part, place) => part !== parts[place - 1]).join('; ').slice(0, LONGEST_SUMMARY);
}

/** Spans of a saga. Its steps hang under the one in which it began, wherever and whenever they run. */
import type { Attributes, SpanInit } from '../trace/tracing.ts';
import type { RunnableSaga, SagaRow } from './create.ts';

export type StepAction = 'run' | 'undo' | 'time out';

export function beginSpan(saga: RunnableSaga, id: string): SpanInit {
  return { name: `begin ${saga.definition.name}`, kind: 'producer', attributes: sagaFacts(saga, id) };
}

/** One try of a step: effect, undoing or time-out, and what is recorded of it. */
export function stepSpan(saga: RunnableSaga, row: SagaRow, action: StepAction): SpanInit {
  const step = action === 'undo' ? (row.trail.at(-1) ?? 'end') : row.step;
  const attributes = { ...sagaFacts(saga, row.id), 'cleave.saga.step': step, 'cleave.saga.try': row.attempts + 1 };
  return { name: `${action} ${saga.definition.name}.${step}`, kind: 'consumer', attributes };
}

function sagaFacts(saga: RunnableSaga, id: string): Attributes {
  return { 'cleave.module': saga.db.schema, 'cleave.saga.name': saga.definition.name, 'cleave.saga.id': id };
}

/** Lengths of time in settings: written as people do (`30m`), read as milliseconds. */
import { Type } from '@sinclair/typebox';

const unitMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

export interface DurationOptions {
  /** Milliseconds. */
  readonly default?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly description?: string;
}

/** A setting that takes `500ms`, `30s`, `30m`, `24h`, `7d` or whole milliseconds; its value is in ms. */
export function Duration(options: DurationOptions = {}) {
  return Type.Integer({ minimum: 0, ...options, duration: true });
}

/** Milliseconds, or undefined when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|min|h|d)?$/.exec(text);
  if (!match) return undefined;
  const ms = Number(match[1]) * unitMs[match[2] ?? 'ms']!;
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** The shortest exact way to write milliseconds, e.g. `30m`. */
export function formatDuration(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((name) => ms >= unitMs[name]! && ms % unitMs[name]! === 0) ?? 'ms';
  return `${ms / unitMs[unit]!}${unit}`;
}

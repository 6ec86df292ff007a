/** What the demo prints. Colours appear on a terminal only and obey NO_COLOR (both by `styleText`). */
import { styleText } from 'node:util';
import type { HistoryEntry, Money, Notification } from './shop-api.ts';

type Style = Parameters<typeof styleText>[0];

export function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

export function styled(style: Style, text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

/** Runs a step and prints it with what came of it and how long it took. */
export async function step<Result>(title: string, work: () => Promise<Result>, outcome: (result: Result) => string = () => ''): Promise<Result> {
  const started = performance.now();
  try {
    const result = await work();
    const took = `${Math.round(performance.now() - started)} ms`;
    say(`${styled('green', '✓')} ${title}${styled('cyan', withGap(outcome(result)))}  ${styled('dim', took)}`);
    return result;
  } catch (error) {
    say(`${styled('red', '✗')} ${title}`);
    throw error;
  }
}

export function chapter(title: string): void {
  say();
  say(styled('bold', title));
}

/** An order's history, each entry with its time of day (UTC) and the time since the first one. */
export function timeline(title: string, history: readonly HistoryEntry[]): void {
  const start = Date.parse(history[0]!.at);
  const width = Math.max(...history.map(({ event }) => event.length));
  chapter(title);
  for (const { at, event, detail } of history) {
    const since = sinceText(Date.parse(at) - start).padStart(9);
    say(`  ${styled('dim', timeOfDay(at))}${since}  ${event.padEnd(width)}${styled('cyan', withGap(detail ?? ''))}`.trimEnd());
  }
}

export function inbox(messages: readonly Notification[]): void {
  chapter('What the customer was told');
  for (const { channel, subject, body, status, createdAt } of messages) {
    const message = channel === 'email' ? subject : body;
    say(`  ${styled('dim', timeOfDay(createdAt))}  ${channel.padEnd(5)}  ${styled('dim', status.padEnd(6))}  ${message}`);
  }
}

export function moneyText({ amount, currency }: Money): string {
  const format = new Intl.NumberFormat('en-US', { style: 'currency', currency });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
}

function withGap(text: string): string {
  return text === '' ? '' : `  ${text}`;
}

function timeOfDay(at: string): string {
  return new Date(at).toISOString().slice(11, 23);
}

function sinceText(ms: number): string {
  return ms < 10_000 ? `+${ms} ms` : `+${(ms / 1_000).toFixed(1)} s`;
}

/**
 * Puts figures into docs/benchmarks.md: no figure there has been typed by hand. Each part stands between markers of its own,
 * with the moment and the load of its measurement, so that one that was measured anew leaves the others as they were.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Grouping } from './one-group.ts';
import { type Part, parts } from './options.ts';
import type { Finding } from './report.ts';

export interface Machine {
  readonly node: string;
  readonly postgresql: string;
  readonly cores: number;
  readonly processor: string;
  readonly grouping: Grouping;
}

/** A part that has been measured. */
export interface Section {
  readonly part: Part;
  readonly at: Date;
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  /** Load averages of a minute: before the run, so not its own doing, and at the part's end. */
  readonly loadBefore: number;
  readonly loadAfter: number;
  readonly findings: readonly Finding[];
}

/** Measured otherwise than in rounds. */
const WITHOUT_ROUNDS: readonly Part[] = ['call', 'remote', 'events', 'latency', 'apart', 'memory'];

export const pagePath = join(import.meta.dirname, '..', '..', 'docs', 'benchmarks.md');

export async function writePage(sections: readonly Section[]): Promise<void> {
  const text = await readFile(pagePath, 'utf8');
  await writeFile(pagePath, sections.reduce(withSection, text));
}

/** @throws Error when the page has no place for the part */
export function withSection(page: string, section: Section): string {
  const { begin, end } = markers(section.part);
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no place for the part ${section.part}: it needs the lines ${begin} and ${end}`);
  return `${page.slice(0, from + begin.length)}\n${textOf(section)}\n${page.slice(to)}`;
}

/** Parts for which the page has no place. */
export function partsWithoutPlace(page: string): Part[] {
  return parts.filter((part) => !page.includes(markers(part).begin) || !page.includes(markers(part).end));
}

function markers(part: Part): { begin: string; end: string } {
  return { begin: `<!-- figures of ${part}: begin -->`, end: `<!-- figures of ${part}: end -->` };
}

function textOf({ part, at, machine, rounds, seconds, loadBefore, loadAfter, findings }: Section): string {
  const { node, postgresql, cores, processor, grouping } = machine;
  const when = `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  const how = WITHOUT_ROUNDS.includes(part) ? '' : `; rounds: ${rounds} of ${seconds} s`;
  const rows = findings.map((finding) => `| ${cellsOf(finding).join(' | ')} |`);
  return [
    ...(loadBefore > cores ? ['**The machine was busy with other things when this was measured: times and rates say little, ratios more.**', ''] : []),
    `${when}, ${cores} x ${processor}, load average ${loadBefore.toFixed(1)} before the run and ${loadAfter.toFixed(1)} at the end, Node ${node}, PostgreSQL ${postgresql}, all ${grouping}${how}.`,
    '',
    '| what | Cleave | yardstick | result | floor | |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** What belongs to the line before is indented there, which a table of Markdown would not show. */
function cellsOf({ what, shop, yardstick, result, floor, holds }: Finding): string[] {
  const verdict = holds === undefined ? '' : holds ? 'held' : '**missed**';
  return [what.replace(/^ +/, '… '), shop, yardstick, result, floor, verdict];
}

/** docs/resilience.md, from what was seen. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { availableParallelism } from 'node:os';
import { projectRoot } from '../../src/host/discover.ts';
import { type Effect, type Fault, p99, type Reach } from './blast.testing.ts';
import { operations } from './operations.testing.ts';
import { LATE_MS } from './prober.testing.ts';

export const PAGE = join(projectRoot, 'docs', 'resilience.md');

const ALL = '**all**';

export interface Seen {
  /** Each module as a service of its own. */
  readonly apart: readonly Reach[];
  readonly one: readonly Reach[];
}

const titles: Readonly<Record<Fault, string>> = {
  killed: 'A service is killed (`kill -9`) and started again by its supervisor',
  hung: 'A service hangs for 5 s (SIGSTOP)',
  slow: 'A service takes 500 ms longer for each request and each call, for 5 s',
  crash: 'an event handler lets an exception escape, and the process ends',
  block: 'a handler keeps the event loop busy for 3 s',
};

export async function writePage(seen: Seen): Promise<void> {
  await writeFile(PAGE, pageOf(seen));
}

export function pageOf({ apart, one }: Seen): string {
  const kinds = [...Map.groupBy(apart, ({ fault }) => fault)];
  return `# What a failure takes down

Written by \`npm run torture -- blast\`, which does all of this to a deployment under load and checks the books afterwards: nothing that was
acknowledged is lost, and nothing is done twice. Times are those of ${availableParallelism()} cores that everything shares. A plan
(\`npm run extract -- plan <module>\`) tells the same from the sources alone, and the run fails where the shop does worse than its plan says.

- An empty cell: works as always.
- *late*: works, but takes more than ${LATE_MS} ms.
- *degraded*: answered, without what the ill service would have said.
- *queued*: answered and kept; what follows from it happens by itself when the service is back.
- *503*: refused with \`Retry-After\`; nothing was done, or an idempotency key tells.
- *no answer*: nobody takes the connection, or it breaks.

Behind it stands how long it took until the operation was as before: since the kill where a service was killed, since the end of the trouble
elsewhere. One in the middle of its next request when trouble ends is as before a little later.

## Ten services
${kinds.map(([fault, reaches]) => matrix(titles[fault], reaches)).join('')}
### What needs nothing of the ill service

The 99th percentile, in ms, of all operations that need nothing of it: before, and meanwhile. One case asks some hundred times, so a single slow
answer shows; the last row is of all of them together. A service that starts again takes one of the cores for a second.

| | ${kinds.map(([fault]) => fault).join(' | ')} |
|---|${kinds.map(() => '---|').join('')}
${[...new Set(apart.map(({ service }) => service)), ALL].map((service) => `| ${service} | ${kinds.map(([, reaches]) => healthy(reaches.filter((reach) => service === ALL || reach.service === service))).join(' | ')} |`).join('\n')}

## One process

The same shop as \`npm start\` runs it, with a supervisor that starts it again. A handler that throws is not a failure: its event is tried again,
and kept as a dead letter in the end (\`operate-events.md\`). What takes the process down, or keeps it busy, takes everything down.
${one.map((reach) => `\n**Where ${titles[reach.fault]}**: ${summary(reach)}\n`).join('')}`;
}

function matrix(title: string, reaches: readonly Reach[]): string {
  const touched = operations.map(({ route }) => route).filter((route) => reaches.some(({ routes }) => routes[route]!.worth !== 'works'));
  return `
### ${title}

| | ${reaches.map(({ service }) => service).join(' | ')} |
|---|${reaches.map(() => '---|').join('')}
${touched.map((route) => `| \`${route.replace('/api/v1', '')}\` | ${reaches.map(({ routes }) => cell(routes[route]!)).join(' | ')} |`).join('\n')}

Every other operation works with any of them ${reaches[0]!.fault}: ${operations.length - touched.length} of ${operations.length}.
`;
}

function cell({ worth, normalAfterMs }: Effect): string {
  if (worth === 'works') return '';
  if (worth === 'unasked') return 'not asked';
  return [worth === 'none' ? 'no answer' : worth, ...(normalAfterMs === undefined ? [] : [seconds(normalAfterMs)])].join(', ');
}

function healthy(reaches: readonly Reach[]): string {
  const [before, meanwhile] = [reaches.flatMap((reach) => reach.healthy.before), reaches.flatMap((reach) => reach.healthy.meanwhile)];
  return `${p99(before).toFixed()} → ${p99(meanwhile).toFixed()}`;
}

function summary({ routes }: Reach): string {
  // Whoever asks a process that does nothing waits, and asks nothing else.
  const asked = Object.values(routes).filter((effect) => effect.asked > 0);
  const groups = [...Map.groupBy(asked, ({ worth }) => worth)].toSorted(([, a], [, b]) => b.length - a.length);
  const last = Math.max(...Object.values(routes).map(({ normalAfterMs = 0 }) => normalAfterMs));
  return `of ${asked.length} operations that were asked meanwhile ${groups.map(([worth, { length }]) => `${length} ${worth === 'none' ? 'got no answer' : worth === 'works' ? 'worked' : `were ${worth}`}`).join(', ')}; all are as before after ${seconds(last)}.`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** The verdicts that the page tells, by route, of one fault. */
export async function toldOf(fault: Fault, service: string): Promise<Map<string, string>> {
  const page = await readFile(PAGE, 'utf8');
  const section = page.slice(page.indexOf(`### ${titles[fault]}`)).split('\n### ')[0]!;
  const [head, , ...rows] = section.split('\n').filter((line) => line.startsWith('|')).map((line) => line.split('|').slice(1, -1).map((text) => text.trim()));
  const column = head!.indexOf(service);
  return new Map(rows.map((cells) => [cells[0]!.replaceAll('`', '').replace(' /', ' /api/v1/'), cells[column]!.split(',')[0]!]));
}

/**
 * How a test run reads, in a terminal and in a log alike: a line per file as it ends, failures in full, the totals last.
 * tap's own reporters redraw the screen; without one they print next to nothing or everything. Its raw TAP loses the files
 * that end after two time-outs at once (the time-outs use up the plan), so this listens to the runner instead.
 *
 * tap takes a React component for a reporter; this one draws nothing itself.
 */
import { describeFailure, type Failure } from './failure.ts';

/** What is used here of tap's objects for the run and for each file. */
interface Run {
  on(event: 'subtestStart' | 'subtestEnd', listener: (file: File) => void): unknown;
  on(event: 'complete', listener: () => void): unknown;
}

interface File {
  readonly name: string;
  readonly counts: Counts;
  readonly lists: { readonly fail: readonly Failure[] };
  /** `exitCode` stands here once the process has ended. */
  readonly options: { readonly exitCode?: number | null; readonly signal?: string | null };
  readonly results?: { readonly ok: boolean } | undefined;
  readonly proc: Process | null;
  readonly parser: { readonly ok: boolean; on(event: 'extra', listener: (line: string) => void): unknown };
  on(event: 'process', listener: (process: Process) => void): unknown;
}

interface Process {
  readonly stderr: { on(event: 'data', listener: (chunk: Buffer) => void): unknown } | null;
}

interface Counts {
  readonly pass: number;
  readonly fail: number;
  readonly skip: number;
  readonly todo: number;
}

const watched = new WeakSet<Run>();

/** The reporter, as tap calls it: maybe several times for one run. */
export default function Report({ test: run }: { test: Run }): null {
  if (!watched.has(run)) watch(run, (text) => process.stdout.write(text));
  watched.add(run);
  return null;
}

function watch(run: Run, write: (text: string) => void): void {
  const started = Date.now();
  const total = { pass: 0, fail: 0, skip: 0, todo: 0 };
  let files = 0;
  const begun = new WeakMap<File, { at: number; said: string[] }>();
  run.on('subtestStart', (file) => begun.set(file, { at: Date.now(), said: listen(file) }));
  run.on('subtestEnd', (file) => {
    const ok = passed(file);
    const counts = { ...file.counts, fail: Math.max(file.counts.fail, ok ? 0 : 1) };
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += counts[key];
    files += 1;
    const { at, said } = begun.get(file)!;
    const details = [...(ok ? [] : file.lists.fail.map((failure) => describeFailure(failure, file.name))), ...said];
    write(`${ok ? 'ok  ' : 'FAIL'}  ${file.name}  ${countsText(counts)}, ${seconds(Date.now() - at)}\n`);
    if (details.length > 0) write(`${details.map(indent).join('')}\n`);
  });
  run.on('complete', () => {
    write(`\n${files === 1 ? '1 file' : `${files} files`} in ${seconds(Date.now() - started)}\n${countsText(total)}\n`);
  });
}

/** A file that ends before its first assertion, or badly after its last one, has failed too. */
function passed({ results, parser, options }: File): boolean {
  return results?.ok === true && parser.ok && !options.exitCode && !options.signal;
}

/** Keeps what a file prints beside its results: it belongs under the file's line. */
function listen(file: File): string[] {
  const said: string[] = [];
  const hear = ({ stderr }: Process): void => void stderr?.on('data', (chunk) => said.push(String(chunk)));
  if (file.proc) hear(file.proc);
  else file.on('process', hear);
  file.parser.on('extra', (line) => said.push(line));
  return said;
}

function countsText({ pass, fail, skip, todo }: Counts): string {
  return [`${pass} passed`, `${fail} failed`, ...(skip + todo > 0 ? [`${skip + todo} skipped`] : [])].join(', ');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function indent(text: string): string {
  return text.trimEnd().replace(/^(?=.)/gm, '      ') + '\n';
}

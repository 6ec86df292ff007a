/**
 * What a place takes where a span could begin or end while nothing is traced: CPU time of the same work with it and without it.
 * Prints nanoseconds as JSON. The place is as the kernel has them: a property that may hold a `Tracing` and does not, and later
 * one that would hold the span. A place where something answers, if only that nothing is to be traced, is measured last: it must cost more, or this
 * measures nothing.
 */
import type { Span, SpanInit, Tracing } from '../../src/trace/tracing.ts';
import { quantile } from './figures.ts';

interface Options {
  readonly tracing?: Tracing | undefined;
}

const WORKS = 10_000_000;
/** So many, one after the other, that what a place looks at is as rarely in the processor's nearest cache as it is in a shop. */
const SUBJECTS = 4_096;
const ROUNDS = 9;
const WARM_UP_ROUNDS = 3;
/** One where a span could begin, one where it could end. */
const PLACES = 2;
const init: SpanInit = { name: 'bench', kind: 'internal', attributes: {} };
const context = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' };

class Traced {
  readonly #options: Options;
  #span: Span | undefined;
  #sum = 0;

  constructor(options: Options) {
    this.#options = options;
  }

  work(value: number): number {
    this.#span = this.#options.tracing?.begin(context, init);
    this.#sum = (this.#sum + value) % 1_000_003;
    this.#span?.end();
    return this.#sum;
  }
}

class Untraced {
  #sum = 0;

  work(value: number): number {
    this.#sum = (this.#sum + value) % 1_000_003;
    return this.#sum;
  }
}

const traced = Array.from({ length: SUBJECTS }, () => new Traced({ tracing: undefined }));
let asked = 0;
const silent: Pick<Tracing, 'begin'> = {
  begin() {
    asked += 1;
    return undefined;
  },
};
const answered = Array.from({ length: SUBJECTS }, () => new Traced({ tracing: silent as Tracing }));
const untraced = Array.from({ length: SUBJECTS }, () => new Untraced());
const added: number[] = [];
for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round += 1) {
  const [through, without] = [cpuNs(() => workOfTraced(traced)), cpuNs(workOfUntraced)];
  if (round >= WARM_UP_ROUNDS) added.push((through - without) / WORKS / PLACES);
}
const answeredNs = quantile(Array.from({ length: ROUNDS }, () => (cpuNs(() => workOfTraced(answered)) - cpuNs(workOfUntraced)) / WORKS), 0.5);
if (answeredNs <= PLACES * Math.max(0, quantile(added, 0.5))) throw new Error(`a place that asks costs no more than one that does not (${answeredNs.toFixed(2)} ns): nothing was measured`);
process.stdout.write(`${JSON.stringify({ nsPerPlace: Math.max(0, quantile(added, 0.5)) })}\n`);

/** Two loops, lest one sees both classes and is compiled for neither. */
function workOfTraced(subjects: readonly Traced[]): number {
  let last = 0;
  for (let value = 0; value < WORKS; value += 1) last = subjects[value % SUBJECTS]!.work(value);
  return last;
}

function workOfUntraced(): number {
  let last = 0;
  for (let value = 0; value < WORKS; value += 1) last = untraced[value % SUBJECTS]!.work(value);
  return last;
}

function cpuNs(work: () => number): number {
  const before = process.cpuUsage();
  if (work() < 0) throw new RangeError('a sum cannot be negative');
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1_000;
}

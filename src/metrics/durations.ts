/**
 * Histograms whose series are bound once and then cost some 20 ns an observation. prom-client's own "bound"
 * children hash their labels at every call (0.9 µs for four labels), which is half of what a whole contract
 * call may cost, so only its registry and its text format are used here.
 */
import type { Metric, Registry } from 'prom-client';

type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** One combination of labels. */
export class Series {
  readonly labels: Labels;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(seconds: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && seconds > bounds[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sum += seconds;
  }

  get count(): number {
    return this.#counts.reduce((total, count) => total + count, 0);
  }

  samples(name: string): Sample[] {
    let below = 0;
    const buckets = this.#bounds.map((le, index) => {
      below += this.#counts[index]!;
      return { metricName: `${name}_bucket`, labels: { ...this.labels, le }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_bucket`, labels: { ...this.labels, le: '+Inf' }, value: this.count },
      { metricName: `${name}_sum`, labels: this.labels, value: this.#sum },
      { metricName: `${name}_count`, labels: this.labels, value: this.count },
    ];
  }

  reset(): void {
    this.#counts.fill(0);
    this.#sum = 0;
  }
}

/** A family of duration series, in seconds, as prom-client's registry collects it. */
export class Durations {
  readonly name: string;
  readonly help: string;
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series>();

  constructor(registry: Registry, init: { name: string; help: string; bounds: readonly number[] }) {
    this.name = init.name;
    this.help = init.help;
    this.#bounds = init.bounds;
    register(registry, this);
  }

  /** Binds a combination of labels; keep the result, this one is not for the hot path. */
  series(labels: Labels): Series {
    const key = JSON.stringify(labels);
    const known = this.#series.get(key);
    if (known) return known;
    const series = new Series(labels, this.#bounds);
    this.#series.set(key, series);
    return series;
  }

  all(): Iterable<Series> {
    return this.#series.values();
  }

  get(): Promise<{ name: string; help: string; type: string; values: Sample[]; aggregator: string }> {
    const values = [...this.#series.values()].flatMap((series) => series.samples(this.name));
    return Promise.resolve({ name: this.name, help: this.help, type: 'histogram', values, aggregator: 'sum' });
  }

  reset(): void {
    for (const series of this.#series.values()) series.reset();
  }
}

/** How often the series of a family were observed, as a counter of its own; counts nothing twice. */
export class CountOf {
  readonly name: string;
  readonly help: string;
  readonly #durations: Durations;

  constructor(registry: Registry, init: { name: string; help: string; of: Durations }) {
    this.name = init.name;
    this.help = init.help;
    this.#durations = init.of;
    register(registry, this);
  }

  get(): Promise<{ name: string; help: string; type: string; values: Sample[]; aggregator: string }> {
    const values = [...this.#durations.all()].map(({ labels, count }) => ({ labels, value: count }));
    return Promise.resolve({ name: this.name, help: this.help, type: 'counter', values, aggregator: 'sum' });
  }

  reset(): void {
    this.#durations.reset();
  }
}

/** The registry only ever asks a metric for its name, `get` and `reset`, but its type names prom-client's classes. */
function register(registry: Registry, metric: Durations | CountOf): void {
  registry.registerMetric(metric as unknown as Metric);
}

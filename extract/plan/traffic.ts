/** What a shop has counted: requests by route and contract calls by caller, from its `/metrics`. */
import { request } from 'undici';
import { StartError } from '../../src/settings/start-error.ts';

export interface Traffic {
  /** Where it was counted. */
  readonly source: string;
  /** By `METHOD route`, what probes and scrapers ask among them. */
  readonly requests: ReadonlyMap<string, number>;
  /** By `caller callee.operation`, where the caller is a module: what the kernel and a gateway ask is no traffic between modules. */
  readonly calls: ReadonlyMap<string, number>;
}

const PATIENCE_MS = 5_000;

/** @throws StartError where one of them does not answer with metrics, or none hosts a module */
export async function readTraffic(urls: readonly string[]): Promise<Traffic> {
  const texts = await Promise.all(urls.map(fetchMetrics));
  if (texts.every((text) => modulesOf(samplesIn(text)).size === 0)) throw new StartError(`${urls.join(', ')} tells of no calls: a gateway has no modules`, 'Name the /metrics of all services behind it, with commas between them.');
  return trafficIn(texts, urls.join(', '));
}

/**
 * Several processes are added up. A call from one to another is counted in both: it counts where its caller is. A request that comes through a
 * gateway is counted there, too: it counts where its module is.
 */
export function trafficIn(texts: readonly string[], source: string): Traffic {
  const requests = new Map<string, number>();
  const calls = new Map<string, number>();
  for (const samples of texts.map(samplesIn)) {
    const hosted = modulesOf(samples);
    if (hosted.size === 0) continue;
    for (const { name, labels, value } of samples) {
      if (name === 'http_requests_total') add(requests, `${labels['method']} ${labels['route']}`, value);
      if (name === 'cleave_operation_duration_seconds_count' && hosted.has(labels['caller']!)) add(calls, `${labels['caller']} ${labels['module']}.${labels['operation']}`, value);
    }
  }
  return { source, requests, calls };
}

/** Each module that a process hosts has a pool of connections there. */
function modulesOf(samples: readonly Sample[]): Set<string> {
  return new Set(samples.filter(({ name }) => name === 'cleave_pool_connections').map(({ labels }) => labels['pool']!));
}

async function fetchMetrics(url: string): Promise<string> {
  try {
    const { statusCode, body } = await request(url, { headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS, signal: AbortSignal.timeout(2 * PATIENCE_MS) });
    const text = await body.text();
    if (statusCode === 200 && text.includes('http_requests_total')) return text;
    throw new Error(statusCode === 200 ? 'it answers with something else' : `it answers ${statusCode}`);
  } catch (error) {
    throw new StartError(`${url} shows no metrics of a shop: ${(error as Error).message || (error as { code?: string }).code}`, 'Name the /metrics of a shop that runs, or leave --metrics out.');
  }
}

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const SAMPLE = /^(\w+)\{(.*)\} (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Those with labels, of a page of metrics. */
export function samplesIn(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const [, name, labels, value] = SAMPLE.exec(line) ?? [];
    if (name === undefined) return [];
    const pairs = [...labels!.matchAll(LABEL)].map(([, key, quoted]) => [key!, quoted!.replaceAll(/\\(.)/g, '$1')] as const);
    return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
  });
}

function add(counts: Map<string, number>, key: string, value: number): void {
  counts.set(key, (counts.get(key) ?? 0) + value);
}

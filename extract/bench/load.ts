/** Closed loop: a number of connections, each of which asks again as soon as it is answered. */
import autocannon, { type Request } from 'autocannon';

export const CONNECTIONS = 32;

/** What each connection sends, again and again. */
export type Requests = readonly (readonly Request[])[];

export interface Load {
  readonly answered: number;
  readonly perSecond: number;
  /** Milliseconds until the answer. */
  readonly p50: number;
  readonly p99: number;
  readonly startedAt: Date;
}

/** @throws Error when anything but 2xx was answered */
export async function load(url: string, requests: Requests, seconds: number): Promise<Load> {
  let connection = 0;
  const result = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    sampleInt: 250,
    setupClient: (client) => client.setRequests(requests[connection++ % requests.length]!),
  });
  if (result.non2xx + result.errors + result.timeouts > 0) {
    throw new Error(`${url} did not answer as it should: ${JSON.stringify(result.statusCodeStats)}, ${result.errors} errors, ${result.timeouts} of them time-outs`);
  }
  const answered = result['2xx'];
  const elapsedMs = result.finish.getTime() - result.start.getTime();
  return { answered, perSecond: (answered * 1_000) / elapsedMs, p50: result.latency.p50, p99: result.latency.p99, startedAt: result.start };
}

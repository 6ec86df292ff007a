/**
 * Addresses by DNS: a headless service has a name with one A or AAAA record for each replica, which all listen on the same ports. The
 * name is looked up again and again.
 *
 *   looking --records----------------------> those are the replicas
 *   looking --there is no such name--------> nobody is there
 *   looking --DNS is away------------------> those of the last time
 */
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Discovery, Origin } from '../../src/wire/discovery.ts';
import { originOf } from '../topology/topology.ts';

export interface DnsName {
  readonly host: string;
  readonly port: number;
}

export interface DnsOptions {
  /** Names that are looked up. */
  readonly hosts: readonly string[];
  /** Addresses of DNS servers, with ports where they are unusual; default: those of this machine. */
  readonly servers?: readonly string[];
  /** Default: 1 s. Nothing is kept here for longer than that; the servers may keep it. */
  readonly everyMs?: number;
}

const EVERY_MS = 1_000;
const ANSWER_MS = 1_000;
const NO_SUCH_NAME = new Set(['ENOTFOUND', 'ENODATA']);

export class DnsAddresses {
  readonly #options: DnsOptions;
  readonly #resolver = new Resolver({ timeout: ANSWER_MS, tries: 2 });
  readonly #found = new Map<string, readonly string[]>();
  readonly #closed = new AbortController();
  readonly #looking: Promise<void>;

  constructor(options: DnsOptions) {
    this.#options = options;
    if (options.servers) this.#resolver.setServers(options.servers);
    this.#looking = this.#lookAgainAndAgain();
  }

  /** @param names where each module is looked for */
  discovery(names: Readonly<Record<string, DnsName>>): Discovery {
    return { originsOf: (module) => this.#originsOf(names[module]), close: async () => this.close() };
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#resolver.cancel();
    await this.#looking;
  }

  #originsOf(name: DnsName | undefined): Origin[] {
    const addresses = name ? (this.#found.get(name.host) ?? []) : [];
    return addresses.map((address) => originOf({ host: address, port: name!.port }));
  }

  async #lookAgainAndAgain(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      await Promise.all(this.#options.hosts.map(async (host) => this.#look(host)));
      await sleep(this.#options.everyMs ?? EVERY_MS, undefined, { signal: this.#closed.signal, ref: false }).catch(() => undefined);
    }
  }

  async #look(host: string): Promise<void> {
    const addresses = isIP(host) ? [host] : await this.#addressesOf(host);
    if (addresses && !this.#closed.signal.aborted) this.#found.set(host, addresses);
  }

  /** @returns undefined where DNS is away */
  async #addressesOf(host: string): Promise<string[] | undefined> {
    const answers = await Promise.allSettled([this.#resolver.resolve4(host), this.#resolver.resolve6(host)]);
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length > 0) return found.sort();
    if (!answers.every((answer) => answer.status === 'rejected' && isNoSuchName(answer.reason))) return undefined;
    return this.#options.servers ? [] : locally(host);
  }
}

/** Names that DNS does not know but this machine does: of its hosts file, or short ones that its search list completes. */
async function locally(host: string): Promise<string[] | undefined> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address).sort();
  } catch (error) {
    return isNoSuchName(error) ? [] : undefined;
  }
}

function isNoSuchName(error: unknown): boolean {
  return NO_SUCH_NAME.has((error as NodeJS.ErrnoException).code ?? '');
}

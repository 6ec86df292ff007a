/** What is up, for a person and for a script. */
import type { Topology } from '../topology/topology.ts';
import type { Administrator } from './administrator.ts';
import { table } from './output.ts';
import type { Supervised, Supervisor } from './supervisor.ts';

interface ProcessReport {
  readonly name: string;
  readonly modules: readonly string[];
  readonly url: string;
  readonly internalUrl: string | undefined;
  readonly pid: number;
}

export interface UpReport {
  readonly topology: string;
  /** Of the public API. */
  readonly url: string;
  readonly processes: readonly ProcessReport[];
}

export function report({ name, gateway }: Topology, { all }: Supervisor): UpReport {
  const processes = all.map(reportOf);
  const front = processes.find((each) => (gateway ? each.name === 'gateway' : each.modules.length > 0));
  return { topology: name, url: front!.url, processes };
}

/** All are up, so each has told where it is. */
function reportOf({ plan: { name, modules }, child }: Supervised): ProcessReport {
  const { pid, up } = child!;
  return { name, modules, url: up!.public, internalUrl: up!.internal, pid };
}

export function summary({ topology, url, processes }: UpReport, administrator: Administrator | undefined): string {
  const rows = processes.map(({ name, modules, url: address, internalUrl = '', pid }) => [name, modules.join(' ') || '-', address, internalUrl, String(pid)]);
  const told = administrator?.isNew ? `  Administrator: ${administrator.username}, password ${administrator.password} (shown this once; ADMIN_PASSWORD sets another)\n` : '';
  const facts = [`Shop      ${url}`, `API docs  ${url}/docs`, 'To try    npm run demo', 'To stop   Ctrl-C'];
  return `\n${topology} is up after ${(performance.now() / 1_000).toFixed(1)} s.\n\n${table(['process', 'modules', 'address', 'internal', 'pid'], rows)}\n${told}${facts.map((fact) => `  ${fact}\n`).join('')}`;
}

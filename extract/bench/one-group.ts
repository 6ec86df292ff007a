/**
 * One scheduling group for everything that is measured. Linux shares processors out among groups first, and the lowest priority counts
 * within one only (docs/decisions/0031-hashing-rests.md). A shop and the database that it starts are one where systemd or a container
 * has started them; started by hand outside of those, each session is one, and so each of PostgreSQL's processes.
 */
import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** To be read behind "all". */
export type Grouping = 'in one group' | 'but the database in one group' | 'in a group for each session';

export interface Grouped {
  /** How the system shares processors out among what is measured. */
  readonly grouping: Grouping;
  /** When what was started has ended. @throws Error while something of it still runs, after some seconds */
  leave(): Promise<void>;
}

interface Hierarchy {
  /** What /proc/self/cgroup says of a process that nobody has put into a control group. */
  readonly root: RegExp;
  readonly folder: string;
  /** In the folder of a control group by which processors are shared out. */
  readonly share: string;
}

/** Version 1 of control groups, and 2. */
const hierarchies: readonly Hierarchy[] = [
  { root: /^\d+:(?:[^:]+,)?cpu(?:,[^:]+)?:\/$/m, folder: '/sys/fs/cgroup/cpu', share: 'cpu.shares' },
  { root: /^0::\/$/m, folder: '/sys/fs/cgroup', share: 'cpu.weight' },
];
const MEMBERS = 'cgroup.procs';
const ENDS_WITHIN_MS = 5_000;
const POLL_MS = 100;

/** As the processes were started: each session is a group where nobody else made one. */
export const asSessionsAre: Grouped = { grouping: 'in a group for each session', leave: async () => undefined };

/** Puts this process, and so those that it starts, into one group, where it is in none and may do that. */
export async function joinOneGroup(): Promise<Grouped> {
  const isAlready: Grouped = { ...asSessionsAre, grouping: 'in one group' };
  if ((await contentOf('/proc/sys/kernel/sched_autogroup_enabled')) !== '1\n') return isAlready;
  const own = await contentOf('/proc/self/cgroup');
  const hierarchy = hierarchies.find(({ root }) => root.test(own));
  if (!hierarchy) return isAlready;
  const group = join(hierarchy.folder, `cleave-bench-${process.pid}`);
  try {
    await mkdir(group);
    await access(join(group, hierarchy.share));
    await writeFile(join(group, MEMBERS), String(process.pid));
    return { grouping: 'in one group', leave: async () => leave(hierarchy, group) };
  } catch {
    await rmdir(group).catch(() => undefined);
    return asSessionsAre;
  }
}

async function leave({ folder }: Hierarchy, group: string): Promise<void> {
  await writeFile(join(folder, MEMBERS), String(process.pid));
  const until = performance.now() + ENDS_WITHIN_MS;
  for (;;) {
    try {
      await rmdir(group);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || performance.now() > until) throw error;
      await sleep(POLL_MS);
    }
  }
}

/** Nothing where there is no such file, as on other systems than Linux. */
async function contentOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch(() => '');
}

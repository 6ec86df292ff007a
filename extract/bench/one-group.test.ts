/** What is measured is one scheduling group where the system allows it, and nothing of that is left. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { joinOneGroup } from './one-group.ts';

/** Control groups of a process of another session, as PostgreSQL's are. */
function groupOfAnotherSession(): string {
  return execFileSync('setsid', ['--wait', 'cat', '/proc/self/cgroup'], { encoding: 'utf8' });
}

const isLinux = process.platform === 'linux';

t.test('what is started from then on is in the group, whatever its session, and it is gone afterwards', { skip: !isLinux && 'other systems have no such groups' }, async (t) => {
  const before = readFileSync('/proc/self/cgroup', 'utf8');
  const name = `cleave-bench-${process.pid}`;
  const { grouping, leave } = await joinOneGroup();
  const hasJoined = readFileSync('/proc/self/cgroup', 'utf8') !== before;
  t.equal(groupOfAnotherSession().includes(name), hasJoined);
  if (hasJoined) t.equal(grouping, 'in one group');
  else t.comment(`nothing to be joined here: what is measured is ${grouping}`);
  await leave();
  t.equal(readFileSync('/proc/self/cgroup', 'utf8'), before);
  t.notOk(existsSync(`/sys/fs/cgroup/cpu/${name}`) || existsSync(`/sys/fs/cgroup/${name}`));
});

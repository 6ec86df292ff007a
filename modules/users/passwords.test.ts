import { readdirSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { availableParallelism, getPriority, platform } from 'node:os';
import { Call } from '#kernel';
import { parseOptions, verify } from '@node-rs/argon2';
import t from 'tap';
import { decoyHash } from './password-job.ts';
import { PasswordLane, restMs } from './password-lane.ts';
import { PasswordThread } from './password-thread.ts';
import { Passwords } from './passwords.ts';

const limits = { concurrency: 1, queue: 100, idleMs: 60_000 };
const call = (): Call => Call.root('test', 30_000);

t.test('a password fits its own hash alone, made as OWASP recommends', async (t) => {
  const passwords = new Passwords(limits);
  t.teardown(() => passwords.close());
  const hash = await passwords.hash('correct horse', call());
  t.match(hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  t.ok(await verify(hash, 'correct horse'), 'any implementation can check it');
  t.not(await passwords.hash('correct horse', call()), hash, 'each hash has a salt of its own');
  const check = (stored: string | undefined, password: string): Promise<boolean> => passwords.inTurn(call(), (fits) => fits(stored, password));
  t.ok(await check(hash, 'correct horse'));
  t.notOk(await check(hash, 'correct mule'));
  t.notOk(await check(undefined, 'correct horse'), 'nobody\'s password');
});

t.test('checking nobody\'s password costs what checking somebody\'s costs', async (t) => {
  const { memoryCost, timeCost, parallelism, outputLen, saltLen } = parseOptions(decoyHash());
  t.same({ memoryCost, timeCost, parallelism, outputLen, saltLen }, { memoryCost: 19_456, timeCost: 2, parallelism: 1, outputLen: 32, saltLen: 16 });
});

t.test('a hash that cannot be read fails its check and no other', async (t) => {
  const passwords = new Passwords(limits);
  t.teardown(() => passwords.close());
  await t.rejects(passwords.inTurn(call(), (check) => check('not a hash', 'correct horse')), /could not be hashed/);
  t.match(await passwords.hash('correct horse', call()), /^\$argon2id/);
});

t.test('a thread that is given several jobs answers each with its own result', async (t) => {
  const thread = new PasswordThread('insistent', limits.idleMs);
  t.teardown(() => thread.end());
  const hash = (await thread.run({ kind: 'hash', password: 'correct horse' })) as string;
  const check = async (password: string) => thread.run({ kind: 'verify', hash, password });
  const [right, other, wrong] = await Promise.all([check('correct horse'), thread.run({ kind: 'hash', password: 'another' }), check('correct mule')]);
  t.same([right, wrong], [true, false]);
  t.match(other, /^\$argon2id/);
  t.notOk(thread.isBusy);
});

t.test('jobs that wait for a thread that is stopped fail with it', async (t) => {
  const thread = new PasswordThread('insistent', limits.idleMs);
  const jobs = [1, 2].map(async () => thread.run({ kind: 'hash', password: 'correct horse' }));
  const ended = Promise.allSettled(jobs);
  await thread.end();
  t.same((await ended).map(({ status }) => status), ['rejected', 'rejected']);
  t.notOk(thread.isBusy);
});

t.test('a thread that is stopped at work fails that work, and the next job has a new one', async (t) => {
  const passwords = new Passwords(limits);
  t.teardown(() => passwords.close());
  const job = passwords.hash('correct horse', call());
  await Promise.resolve();
  await Promise.all([t.rejects(job, /stopped/), passwords.close()]);
  t.match(await passwords.hash('correct horse', call()), /^\$argon2id/);
});

t.test('a thread that is at a job which nobody waits for any more answers the next one with its own result', async (t) => {
  const thread = new PasswordThread('insistent', 60_000);
  t.teardown(() => thread.end());
  const hash = thread.run({ kind: 'hash', password: 'correct horse' });
  const fits = thread.run({ kind: 'verify', hash: decoyHash(), password: 'wrong' });
  t.equal(await fits, false, 'a wrong password is wrong, whatever was done before');
  t.match(await hash, /^\$argon2id/);
  t.notOk(thread.isBusy);
});

t.test('an idle thread ends and gives its memory back', async (t) => {
  const passwords = new Passwords({ ...limits, idleMs: 1 });
  const before = process.getActiveResourcesInfo().length;
  await passwords.hash('correct horse', call());
  while (process.getActiveResourcesInfo().length > before) await new Promise((resolve) => setTimeout(resolve, 5));
  t.match(await passwords.hash('correct horse', call()), /^\$argon2id/, 'and comes back when there is work');
});

t.test('hashing threads yield to the event loop', { skip: platform() !== 'linux' && 'only Linux has priorities per thread' }, async (t) => {
  const own = getPriority();
  // Threads of the tests before may still be ending.
  const before = scheduling('nice');
  const passwords = new Passwords(limits);
  t.teardown(() => passwords.close());
  await passwords.hash('correct horse', call());
  const priorities = scheduling('nice');
  t.equal(priorities.get(process.pid), own, 'the main thread keeps its priority');
  const yielding = [...priorities].filter(([thread, nice]) => nice === 10 && !before.has(thread)).length;
  t.ok(yielding === 1 || yielding === 2, 'one yields, and where no processor was ever idle the one that stood in for it');
  const policies = [...scheduling('policy')].filter(([thread, policy]) => policy === SCHED_IDLE && !before.has(thread));
  t.equal(policies.length, 1, 'one runs when nothing else does');
  t.not(policies[0]?.[0], process.pid);
});

t.test('hashing goes on where no processor is ever idle', { skip: platform() !== 'linux' && 'only Linux has priorities per thread' }, async (t) => {
  const passwords = new Passwords(limits);
  const busy = Array.from({ length: 2 * availableParallelism() }, () => spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }));
  t.teardown(async () => {
    for (const child of busy) child.kill('SIGKILL');
    await passwords.close();
  });
  const started = performance.now();
  const hashes = await Promise.all(Array.from({ length: 4 }, () => passwords.hash('correct horse', call())));
  t.equal(new Set(hashes).size, 4);
  t.ok(performance.now() - started < 10_000, 'a tenth of a core, for hashes of 20 ms');
});

t.test('hashing rests for twice as long as it saw the event loop busy, and not for ever', async (t) => {
  t.same([0, 1, 10, 25, 26, 5_000].map(restMs), [0, 2, 20, 50, 50, 50]);
  const lane = new PasswordLane(limits.idleMs);
  t.teardown(() => lane.end());
  const job = { kind: 'hash', password: 'correct horse' } as const;
  const first = lane.run(job);
  const busyUntil = performance.now() + 30;
  while (performance.now() < busyUntil);
  await first;
  const ended = performance.now();
  await lane.run(job);
  t.ok(performance.now() - ended >= 50, `the next one waited: ${(performance.now() - ended).toFixed(1)} ms`);
});

const SCHED_IDLE = 5;

/** By thread id, what proc_pid_stat(5) has as 19th and 41st field, counted behind the name in parentheses. */
function scheduling(what: 'nice' | 'policy'): Map<number, number> {
  const fields = (id: string): string[] => readFileSync(`/proc/self/task/${id}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return new Map(readdirSync('/proc/self/task').map((id) => [Number(id), Number(fields(id)[what === 'nice' ? 16 : 38])]));
}

/** The test run as a whole: what must fail it does fail it, and what it prints says why. */
import t from 'tap';
import { spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';

const fixtures = join(import.meta.dirname, 'fixtures');
const tap = join(import.meta.dirname, '..', '..', '..', 'node_modules', '.bin', 'tap');

t.setTimeout(90_000);
t.teardown(async () => rm(join(fixtures, '.tap'), { recursive: true, force: true }));

/** Runs tap over fixtures as npm test does over the project, in an environment that knows nothing of this run. */
async function run(...files: string[]): Promise<{ status: number | null; lines: string[] }> {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^_?TAP|^NODE_OPTIONS$/.test(name)));
  const child = spawn(tap, ['run', ...files], { cwd: fixtures, env: { ...env, CI: 'true' }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const output = await text(child.stdout);
  return { status: await ended, lines: output.split('\n').map((line) => line.trim()) };
}

function totals(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => / passed, /.test(line));
}

t.test('a run in which all is well ends with its totals and status 0', async (t) => {
  const { status, lines } = await run('passes.test.ts');
  t.equal(status, 0);
  t.equal(totals(lines), '2 passed, 0 failed, 1 skipped');
});

t.test('each way to fail fails the run and is told', async (t) => {
  const files = ['breaks', 'fails', 'hangs', 'leaks', 'passes', 'rejects', 'throws'].map((name) => `${name}.test.ts`);
  const { status, lines } = await run(...files);
  const text = lines.join('\n');
  t.not(status, 0);
  t.match(text, /FAIL {2}breaks\.test\.ts/, 'a file that cannot be loaded');
  t.match(text, /✖ the shop > counts its stock > nothing is lost/, 'an assertion that does not hold, by its full name');
  t.match(text, /FAIL {2}hangs\.test\.ts[^]*✖ waits for a message that never comes > timeout!/, 'a test that never ends');
  t.match(text, /FAIL {2}leaks\.test\.ts[^]*type: 'Server'/, 'a server that is left open, although every assertion held');
  t.match(text, /FAIL {2}rejects\.test\.ts/, 'a rejection that nobody handles');
  t.match(text, /FAIL {2}throws\.test\.ts/, 'an error outside of any test');
  t.match(text, /ok {4}passes\.test\.ts/, 'while the one that is well is not blamed');
  t.equal(totals(lines), '6 passed, 6 failed, 1 skipped');
});

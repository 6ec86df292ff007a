/**
 * `npm test [files]`: starts the database server of the tests, runs tap over all files or those that are named, and stops
 * the server whatever came out. tap's own `before` and `after` were tried: it measures their coverage, which costs seconds
 * and cannot be turned off.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { compileCache } from '../compile-cache.ts';
import { projectRoot } from '../host/discover.ts';

/** A small young generation of the heap touches less memory, and one thread beside the main one is enough where each core has a file to run. */
const nodeOptions = [process.env['NODE_OPTIONS'], '--max-semi-space-size=2', '--v8-pool-size=1', `--import=${new URL('../testing/in-each-process.ts', import.meta.url).href}`].filter(Boolean).join(' ');

let running: ChildProcess | undefined;

// Ctrl-C reaches the tests as well, SIGTERM is passed on; this process stays until they have ended and the server is stopped.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => void running?.kill('SIGTERM'));

const testing = join(projectRoot, 'src', 'testing');
const prepared = await run(join(testing, 'before.ts'));
const tested = prepared === 0 ? await run(join(projectRoot, 'node_modules', 'tap', 'dist', 'esm', 'run.mjs'), 'run', ...process.argv.slice(2)) : prepared;
const cleared = await run(join(testing, 'after.ts'));
process.exitCode = tested === 0 ? cleared : tested;

/** Exit status of a script; 1 for one that was killed. */
async function run(script: string, ...args: readonly string[]): Promise<number> {
  // Each test file is a process: compiling the shop anew for each would take a third of the run.
  const child = spawn(process.execPath, [script, ...args], { cwd: projectRoot, stdio: 'inherit', env: { ...process.env, NODE_COMPILE_CACHE: compileCache, NODE_OPTIONS: nodeOptions } });
  running = child;
  return new Promise((resolve, reject) => child.once('error', reject).once('close', (status) => resolve(status ?? 1)));
}

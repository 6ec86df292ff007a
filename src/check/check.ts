/**
 * `npm run check`: everything that must hold before a change goes in. All parts that need no database run even if one of
 * them fails, so that one run tells all; the tests follow if they are well. `--without-tests` leaves those to whoever has
 * just run them.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { projectRoot } from '../host/discover.ts';
import { checkBoundaries } from './boundaries/boundaries.ts';
import { formatViolations } from './boundaries/violation.ts';
import { generateDocs, outdated } from './docs/generated.ts';
import { readTree } from './source/tree.ts';

/** A part of the check: what it found wrong, as text; nothing when all is well. */
type Part = () => Promise<string>;

const parts: Readonly<Record<string, Part>> = {
  types: async () => complaintsOf('tsc', ['--pretty', 'false']),
  lint: async () => complaintsOf('oxlint', ['--format', 'unix', '.', '.config']),
  boundaries: async () => formatViolations(checkBoundaries(readTree(projectRoot))),
  'generated files': async () => outdated(projectRoot, await generateDocs(projectRoot)).join('\n'),
};

let failed = 0;
for (const [name, part] of Object.entries(parts)) failed += (await passes(name, part)) ? 0 : 1;
if (failed === 0 && !process.argv.includes('--without-tests')) await import('./test.ts');
if (failed > 0) process.exitCode = 1;

async function passes(name: string, part: Part): Promise<boolean> {
  const started = performance.now();
  const complaints = (await part().catch((error: unknown) => inspect(error))).trimEnd();
  const took = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  process.stdout.write(complaints === '' ? `ok    ${name}, ${took}\n` : `FAIL  ${name}, ${took}\n\n${complaints}\n\n`);
  return complaints === '';
}

/** What an installed tool prints when it ends with an error. */
async function complaintsOf(tool: string, args: readonly string[]): Promise<string> {
  const child = spawn(join(projectRoot, 'node_modules', '.bin', tool), args, { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const printed = await Promise.all([text(child.stdout), text(child.stderr)]);
  const status = await ended;
  return status === 0 ? '' : printed.join('') || `${tool} ended with status ${status}`;
}

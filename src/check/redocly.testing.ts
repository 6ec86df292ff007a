/** Redocly's linter, for OpenAPI and AsyncAPI documents. */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

interface Problem {
  readonly severity: string;
  readonly ruleId: string;
  readonly message: string;
  readonly location?: readonly { readonly pointer?: string }[];
}

/** Errors and warnings of the recommended rules, as `rule pointer: message`. */
export async function complaintsOfRedocly(t: { testdir(): string }, document: unknown): Promise<string[]> {
  const file = join(t.testdir(), 'document.json');
  await writeFile(file, JSON.stringify(document));
  const redocly = join(import.meta.dirname, '..', '..', 'node_modules', '.bin', 'redocly');
  // Without these it would ask its maker's servers for updates and tell them of the run.
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const args = ['lint', file, '--extends=recommended', '--format=json', '--max-problems=1000'];
  const child = spawn(redocly, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [report, progress] = await Promise.all([text(child.stdout), text(child.stderr)]);
  if (report === '') throw new Error(`redocly printed no report:\n${progress}`);
  const { problems } = JSON.parse(report) as { problems: Problem[] };
  return problems.map(({ ruleId, message, location }) => `${ruleId} ${location?.[0]?.pointer ?? ''}: ${message}`);
}

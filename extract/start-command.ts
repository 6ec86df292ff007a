/** How `npm start` starts the shop, for what starts it as people do. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../src/host/discover.ts';

export interface StartCommand {
  /** Environment variables that it sets. */
  readonly env: Readonly<Record<string, string>>;
  /** For Node. */
  readonly flags: readonly string[];
  /** From the project's folder on. */
  readonly script: string;
}

/** @throws Error where package.json says it in a way that is not known here */
export function startCommand(): StartCommand {
  const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { scripts: { start: string } };
  const [, variables, flags, script] = /^((?:\w+=\S+ )*)exec node (.*?) ?(src\/main\.ts)$/.exec(scripts.start) ?? [];
  if (script === undefined) throw new Error(`the script "start" of package.json is ${JSON.stringify(scripts.start)}; "<variables> exec node <flags> src/main.ts" is expected here`);
  return { env: Object.fromEntries(words(variables!).map((variable) => variable.split('=') as [string, string])), flags: words(flags!), script };
}

function words(text: string): string[] {
  return text.split(' ').filter(Boolean);
}

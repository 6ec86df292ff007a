/** `npm run extract -- <command>`: what a move of modules into services needs, as commands. */
import { type Command, EXIT_USAGE, UsageError } from './command.ts';
import { endWithParent } from './parent.ts';
import { keepCompiled } from '../src/compile-cache.ts';
import { explainFailure } from '../src/settings/start-failure.ts';

keepCompiled();

/** Loaded when it is called for: a command need not wait for what the others import. */
const commands: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  plan: async () => import('./plan/command.ts'),
  registry: async () => import('./registry/registry.ts'),
  serve: async () => import('./serve/serve.ts'),
  gateway: async () => import('./gateway/command.ts'),
  up: async () => import('./up/up.ts'),
};

endWithParent();

const [name, ...args] = process.argv.slice(2);
process.exitCode = await run(name, args);

async function run(called: string | undefined, rest: readonly string[]): Promise<number | undefined> {
  if (called === undefined || called === '--help' || called === 'help') {
    process.stdout.write(await overview());
    return called === undefined ? EXIT_USAGE : 0;
  }
  const load = Object.hasOwn(commands, called) ? commands[called] : undefined;
  if (!load) return complain(new UsageError(`there is no command ${called}`, `There are ${Object.keys(commands).join(', ')}; see npm run extract -- --help.`));
  const { command } = await load();
  if (rest.includes('--help')) {
    process.stdout.write(command.help);
    return 0;
  }
  return command.run(rest).catch(complain);
}

async function overview(): Promise<string> {
  const loaded = await Promise.all(Object.values(commands).map(async (load) => load()));
  const width = Math.max(...loaded.map(({ command }) => command.name.length));
  const lines = loaded.map(({ command }) => `  ${command.name.padEnd(width)}  ${command.summary}`);
  return `npm run extract -- <command> [arguments]\n\n${lines.join('\n')}\n\nnpm run extract -- <command> --help says more.\n`;
}

function complain(error: unknown): number {
  const isUsage = error instanceof UsageError;
  process.stderr.write(isUsage ? `${error.message}.\n${error.remedy}\n` : explainFailure(error));
  return isUsage ? EXIT_USAGE : 1;
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';

/** Says `begun`, waits for ever, and says what it undoes. */
const program = (undo: string): string => `
  import { alsoOnSignal } from ${JSON.stringify(new URL('also-on-signal.ts', import.meta.url).href)};
  const undo = alsoOnSignal(async () => { console.log('undone'); ${undo} });
  setInterval(() => undefined, 60_000);
  if (process.argv.includes('by itself')) await Promise.all([undo(), undo()]);
  console.log('begun');`;

async function ended(signals: readonly NodeJS.Signals[], undo = '', ...args: readonly string[]): Promise<{ code: number | null; signal: string | null; said: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program(undo), '--', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let next = 0;
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (said += data.toString()));
  child.stdout.on('data', () => {
    if (said.includes('begun') && next < signals.length) child.kill(signals[next++]);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, said: said.replaceAll('\n', ' ').trim() };
}

t.test('what was begun is undone when a signal ends the process', async (t) => {
  t.same(await ended(['SIGTERM']), { code: 143, signal: null, said: 'begun undone' });
  t.same(await ended(['SIGINT']), { code: 130, signal: null, said: 'begun undone' });
});

t.test('it is undone once, however often it is asked for, and then signals do what they do', async (t) => {
  t.same(await ended(['SIGINT', 'SIGINT'], 'await new Promise((resolve) => setTimeout(resolve, 300));'), { code: 130, signal: null, said: 'begun undone' });
  t.same(await ended(['SIGTERM'], '', 'by itself'), { code: null, signal: 'SIGTERM', said: 'undone begun' });
});

t.test('what cannot be undone is told of', async (t) => {
  t.same(await ended(['SIGTERM'], `throw new Error('it is in use');`), { code: 143, signal: null, said: 'begun undone Something is left behind: it is in use' });
});

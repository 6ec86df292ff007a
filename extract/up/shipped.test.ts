/** Every topology that ships, as `up` runs it: the demo passes, and nothing is left running. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { testAdmin } from '../../src/testing/environment.ts';
import { freePort } from '../../src/testing/free-port.ts';
import { isAlive, placeFor } from './up.testing.ts';
import type { UpReport } from './report.ts';

const shipped = join(import.meta.dirname, '..', 'topology', 'shipped');
const demo = join(import.meta.dirname, '..', 'demo', 'demo.ts');
const skip = !process.env['CI'] && 'fifty processes take a minute: CI starts them, and CI=true does so here';
t.setTimeout(1_200_000);

/** The ports that it names are whoever's who runs this. */
async function elsewhere(topology: string): Promise<string> {
  let placed = '';
  for (const part of topology.split(/(?<=ort: )(?=[1-9]\d*)/)) placed += placed === '' ? part : part.replace(/^\d+/, String(await freePort()));
  return placed;
}

// One embedded server for all, as whoever tries one topology after the other has it.
const place = await placeFor(t);
const names = (await readdir(shipped)).map((file) => file.replace('.yaml', ''));

t.test('there are those that were promised', async (t) => {
  for (const name of ['monolith', 'microservices', 'payments-out', 'three-out']) t.ok(names.includes(name), name);
});

for (const name of names) {
  t.test(`the demo passes against ${name}`, { skip, timeout: 400_000 }, async (t) => {
    const file = await place.topology(await elsewhere(await readFile(join(shipped, `${name}.yaml`), 'utf8')));
    const up = place.up(['--topology', file, '--json'], { DATABASE_URL: '', DATABASE_ROLE_PREFIX: '' }, t);
    const [line] = await up.says(/\{"topology".*\}\n/);
    const { topology, url, processes } = JSON.parse(line) as UpReport;
    t.equal(topology, name);

    const child = spawn(process.execPath, [demo], { env: { BASE_URL: url, ...testAdmin }, stdio: ['ignore', 'pipe', 'inherit'] });
    const [[code], out] = await Promise.all([once(child, 'close') as Promise<[number | null]>, text(child.stdout)]);
    t.match(out, /Everything happened as it should\.\n$/);
    t.equal(code, 0);

    up.process.kill('SIGTERM');
    t.equal(await up.ended, '0', up.output());
    t.strictSame(processes.filter(({ pid }) => isAlive(pid)), [], 'nothing is left running');
  });
}

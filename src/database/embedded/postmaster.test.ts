import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { readPostmaster } from './postmaster.ts';

/** Writes the file and removes it, again and again, as fast as the file system does. */
const coming = `
  const { workerData: { file, claim, until } } = require('node:worker_threads');
  const { rmSync, writeFileSync } = require('node:fs');
  while (Date.now() < until) {
    writeFileSync(file, claim);
    rmSync(file);
  }`;

t.test('a claim that is taken away while it is read is none, not an error', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'cleave-postmaster-'));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const until = Date.now() + 500;
  const worker = new Worker(coming, { eval: true, workerData: { file: join(data, 'postmaster.pid'), claim: '4711\n/data\n1\n5433\n\n127.0.0.1\n\nready\n', until } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const seen = { there: 0, gone: 0 };
  while (Date.now() < until) {
    if (readPostmaster(data)) seen.there += 1;
    else seen.gone += 1;
    if ((seen.there + seen.gone) % 100 === 0) await new Promise(setImmediate);
  }
  await ended;
  t.ok(seen.there > 100 && seen.gone > 100, `it was there ${seen.there} times and gone ${seen.gone} times`);
});

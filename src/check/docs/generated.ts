/** The files that `npm run docs` writes, and whether those that are committed are still what it would write. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asyncapiDocument } from './asyncapi.ts';
import { errorsPage } from './errors-page.ts';
import { eventsPage } from './events-page.ts';
import { readModel } from './model.ts';
import { modulesPage } from './modules-page.ts';
import { readmeWithPicture } from './readme.ts';
import { settingsPage } from './settings-page.ts';

/** Paths to contents, the same for the same sources. */
export async function generateDocs(root: string): Promise<ReadonlyMap<string, string>> {
  const model = await readModel(root);
  return new Map([
    ['docs/modules.md', modulesPage(model)],
    ['docs/events.md', eventsPage(model)],
    ['docs/asyncapi.json', asyncapiDocument(model)],
    ['docs/errors.md', errorsPage(model)],
    ['docs/settings.md', settingsPage(model)],
    ['README.md', readmeWithPicture(committed(join(root, 'README.md')), model)],
  ]);
}

/** The generated files that differ from those on disk, each with the first line that does. */
export function outdated(root: string, generated: ReadonlyMap<string, string>): string[] {
  return [...generated].flatMap(([path, content]) => {
    const line = firstDifference(committed(join(root, path)), content);
    return line === undefined ? [] : [`${path}:${line}  is not what the contracts say any more: run npm run docs and commit the result`];
  });
}

function committed(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** Number of the first line that differs; undefined when none does. */
function firstDifference(before: string, after: string): number | undefined {
  if (before === after) return undefined;
  const [old, now] = [before.split('\n'), after.split('\n')];
  const index = now.findIndex((line, at) => line !== old[at]);
  return (index < 0 ? now.length : index) + 1;
}

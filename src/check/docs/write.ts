/** `npm run docs`: writes the generated documentation. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../host/discover.ts';
import { generateDocs, outdated } from './generated.ts';

const generated = await generateDocs(projectRoot);
const changed = outdated(projectRoot, generated).length;
for (const [path, content] of generated) {
  mkdirSync(dirname(join(projectRoot, path)), { recursive: true });
  writeFileSync(join(projectRoot, path), content);
}
process.stdout.write(`${[...generated.keys()].join(', ')}: ${changed === 0 ? 'nothing' : changed} changed\n`);

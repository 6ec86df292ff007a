/** Every link within the documentation leads to a file that is there, and to a heading of it where it names one; so does every page that the code names. */
import t from 'tap';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';
import { projectRoot } from '../../host/discover.ts';

/** Tests name pages that are not there on purpose. */
const CODE = { files: ['{src,modules,extract}/**/*.{ts,mjs}', '.config/*.mjs', 'package.json', 'docker-compose.yml'], exclude: ['**/*.test.ts'] };
const PAGES = ['README.md', 'docs/**/*.md', 'modules/*/README.md', 'extract/**/*.md'];

t.test('no link of the documentation leads nowhere', async (t) => {
  const pages = globSync(PAGES, { cwd: projectRoot });
  t.ok(pages.includes('README.md') && pages.includes('docs/architecture.md'), 'there are pages to be checked');
  for (const page of pages) t.same(brokenLinks(projectRoot, page), [], page);
});

t.test('links that lead nowhere are found', async (t) => {
  const root = t.testdir({
    'README.md': [
      '[a](docs/a.md) [its second part](docs/a.md#the-2nd-part-of-a) [here](#start) [out](https://example.com/x) [folder](docs/)',
      '# Start',
      '[gone](docs/gone.md) [no part](docs/a.md#third) [not here](#end) [absolute](/docs/a.md) [beyond](../other.md)',
      '`[code](gone.md)`',
      '```md',
      '[example](gone.md)',
      '# End',
      '```',
    ].join('\n'),
    docs: { 'a.md': '## The 2nd part of `A`!\n\n[up](../README.md)' },
  });
  t.same(brokenLinks(root, 'README.md'), ['docs/gone.md', 'docs/a.md#third', '#end', '/docs/a.md', '../other.md']);
  t.same(brokenLinks(root, 'docs/a.md'), []);
});

t.test('every page that the code names is there', async (t) => {
  const files = globSync(CODE.files, { cwd: projectRoot, exclude: CODE.exclude });
  const named = files.flatMap((file) => pagesNamedIn(readFileSync(join(projectRoot, file), 'utf8')));
  t.ok(named.includes('docs/architecture.md') && named.includes('docs/guides/torture.md'), 'the code names pages');
  for (const file of files) t.same(missingPages(projectRoot, file), [], file);
});

t.test('pages that the code names and that are not there are found', async (t) => {
  const root = t.testdir({
    'help.ts': 'const usage = `See docs/guides/gone.md, or docs/a.md.`; // and /docs/a.md; docs/NNNN.md; not other-docs/b.md or https://x/docs/c.md',
    docs: { 'a.md': '' },
  });
  t.same(missingPages(root, 'help.ts'), ['docs/guides/gone.md', 'docs/NNNN.md']);
});

function missingPages(root: string, file: string): string[] {
  return pagesNamedIn(readFileSync(join(root, file), 'utf8')).filter((page) => !existsSync(join(root, page)));
}

function pagesNamedIn(code: string): string[] {
  return [...code.matchAll(/(?<![\w/.-])docs\/[\w./-]+\.md\b/g)].map(([page]) => page);
}

/** Targets of a page's links that are not there. Addresses with a scheme are not tried. */
function brokenLinks(root: string, page: string): string[] {
  const prose = proseOf(join(root, page)).replaceAll(/`[^`\n]*`/g, '');
  const targets = [...prose.matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, target]) => target!);
  return targets.filter((target) => !/^[a-z][a-z\d+.-]*:/i.test(target) && !leadsSomewhere(root, page, target));
}

function leadsSomewhere(root: string, page: string, target: string): boolean {
  const [path = '', heading] = target.split('#', 2);
  const file = path === '' ? page : join(dirname(page), decodeURI(path));
  const within = !isAbsolute(path) && !relative('.', file).startsWith('..');
  if (!within || !existsSync(join(root, file))) return false;
  return heading === undefined || (statSync(join(root, file)).isFile() && headingsOf(join(root, file)).includes(heading));
}

/** Anchors as GitHub makes them: lower case, without punctuation, with hyphens for spaces. */
function headingsOf(file: string): string[] {
  const headings = [...proseOf(file).matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading]) => heading!);
  return headings.map((heading) => heading.toLowerCase().replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '').replaceAll(/\s/g, '-'));
}

/** A page without what stands in fences, where neither links nor headings count. */
function proseOf(file: string): string {
  return readFileSync(file, 'utf8').replaceAll(/^```[^\n]*\n[\s\S]*?^```$/gm, '');
}

/** Rules about which files there are. */
import { contractPath, foldersUnder } from './layout.ts';
import type { Project } from './project.ts';
import type { Violation } from './violation.ts';

const folders = ['src', 'modules', 'migrations', 'extract', 'docs'];
const files = ['package.json', 'tsconfig.json', 'docker-compose.yml', 'README.md', 'LICENSE', 'package-lock.json'];
const topLevel = [...folders, ...files];

export function shapeViolations(project: Project): Violation[] {
  const inModules = project.modules.flatMap((module) => [...incomplete(project, module), ...misnamed(project, module)]);
  return [...strangers(project), ...inModules, ...orphanedMigrations(project)];
}

function strangers(project: Project): Violation[] {
  const entries = [...new Set([...project.tree.keys()].map((path) => path.split('/')[0]!))];
  return entries
    .filter((entry) => !topLevel.includes(entry))
    .map((entry) => ({
      rule: 'top-level-is-closed',
      file: entry,
      line: 1,
      found: `${entry} stands at the top level`,
      legal: `${topLevel.join(', ')}, dotfiles`,
      remedy: 'Move it to the module that it belongs to, or to src/ where it serves every module; tests stand beside what they test.',
    }));
}

function incomplete(project: Project, module: string): Violation[] {
  const wanted = ['README.md', 'contract.ts', 'module.ts'];
  const missing = wanted.filter((name) => !project.tree.has(`modules/${module}/${name}`));
  return missing.map((name) => ({
    rule: 'module-is-complete',
    file: `modules/${module}/${name}`,
    line: 1,
    found: `${module} has no ${name}`,
    legal: `modules/<name>/ with ${wanted.join(', ')}`,
    remedy: 'Write it, as the guide to adding a module shows. A folder that is no module does not belong under modules/.',
  }));
}

function misnamed(project: Project, module: string): Violation[] {
  const definition = project.facts.get(contractPath(module))?.calls.find(({ callee }) => callee === 'defineContract');
  const name = definition?.properties.find(({ key }) => key === 'name');
  const file = contractPath(module);
  if (!project.facts.has(file) || name?.text === module) return [];
  return [
    {
      rule: 'module-is-complete',
      file,
      line: name?.line ?? definition?.line ?? 1,
      found: name ? `the contract of ${module} calls itself ${name.text ?? 'what is computed'}` : `${file} defines no contract with a name`,
      legal: `export const ${camel(module)} = defineContract({ name: '${module}', … })`,
      remedy: 'Give the contract the name of its folder: schema, role, outbox and event types are called so.',
    },
  ];
}

function orphanedMigrations(project: Project): Violation[] {
  return foldersUnder(project.tree, 'migrations')
    .filter((folder) => !project.modules.includes(folder))
    .map((folder) => ({
      rule: 'migrations-belong-to-modules',
      file: `migrations/${folder}`,
      line: 1,
      found: `there is no module ${folder}`,
      legal: project.modules.map((module) => `migrations/${module}`).join(', '),
      remedy: 'Name the folder as the module, or remove it: nobody would run what it holds.',
    }));
}

function camel(kebab: string): string {
  return kebab.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

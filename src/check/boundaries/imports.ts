/** Rules about single imports: who may take something from whom. */
import { isBuiltin } from 'node:module';
import { contractPath, isTest, moduleOf } from './layout.ts';
import { contractBehind, type Edge, type Project } from './project.ts';
import type { Violation } from './violation.ts';

export function importViolations(project: Project): Violation[] {
  return project.edges.flatMap((edge) => [
    ...fromModule(edge, project),
    ...fromKernel(edge, project),
    ...fromExtract(edge, project),
    ...ofPackage(edge, project),
    ...ofTestCode(edge),
  ]);
}

function fromModule(edge: Edge, project: Project): Violation[] {
  const module = moduleOf(edge.file);
  if (module === undefined) return [];
  if (edge.specifier === undefined) return [computed(edge)];
  if (edge.file === contractPath(module)) return contractStandsAlone(edge);
  const { target } = edge;
  if (target.kind !== 'path') return [];
  const other = moduleOf(target.path);
  if (other === module) return [];
  if (other !== undefined) return throughTheContract(edge, project, module, other);
  return throughTheKernelDoor(edge);
}

function computed(edge: Edge): Violation {
  return {
    rule: 'imports-are-literal',
    ...at(edge),
    found: 'imports what is only known at run time',
    legal: "import … from '…' and import('…') with the path written out",
    remedy: 'Write the path out; let modules meet through contracts and events instead of loading each other.',
  };
}

function contractStandsAlone(edge: Edge): Violation[] {
  if (edge.specifier === '#kernel' || edge.specifier === '@sinclair/typebox') return [];
  return [
    {
      rule: 'contract-stands-alone',
      ...at(edge),
      found: `a contract imports ${edge.specifier}`,
      legal: '#kernel, @sinclair/typebox',
      remedy: 'Write the schema out in this contract: whoever imports a contract must not get another one, or code, with it.',
    },
  ];
}

function throughTheContract(edge: Edge, project: Project, module: string, other: string): Violation[] {
  if (contractBehind(edge)) return [];
  return [
    {
      rule: 'one-public-door',
      ...at(edge),
      found: `${module} imports ${edge.specifier}, which is private to ${other}`,
      legal: `contracts of other modules: ${list(project.modules.filter((name) => name !== module).map(contractPath))}`,
      remedy: `Use what ${contractPath(other)} offers; where that is too little, add an operation, an event or a schema to it.`,
    },
  ];
}

function throughTheKernelDoor(edge: Edge): Violation[] {
  const alias = edge.target.kind === 'path' ? edge.target.alias : undefined;
  if (alias === '#kernel' || (alias === '#testing' && isTest(edge.file))) return [];
  const testing = alias === '#testing';
  return [
    {
      rule: 'kernel-door',
      ...at(edge),
      found: `a module imports ${edge.specifier}`,
      legal: testing ? '#kernel here; #testing in *.test.ts' : '#kernel; #testing in *.test.ts; files of the module itself; declared packages',
      remedy: testing
        ? 'Move what needs #testing into a test file.'
        : 'Import it from #kernel; where #kernel lacks it and every module may need it, export it from src/kernel.ts.',
    },
  ];
}

function fromKernel(edge: Edge, project: Project): Violation[] {
  if (!edge.file.startsWith('src/') || edge.target.kind !== 'path') return [];
  const module = moduleOf(edge.target.path);
  if (module === undefined || (isTest(edge.file) && contractBehind(edge))) return [];
  const inTest = {
    legal: `contracts, as this is test code: ${list(project.modules.map(contractPath))}`,
    remedy: `Go through the operations of ${contractPath(module)} or the public API.`,
  };
  const inProduction = {
    legal: 'files of src/, declared packages',
    remedy: 'Take a Contract or an AnyModule as a parameter; discoverModules() hands over what is on disk.',
  };
  const found = `the kernel imports ${edge.specifier} of ${module}`;
  return [{ rule: 'kernel-knows-no-module', ...at(edge), found, ...(isTest(edge.file) ? inTest : inProduction) }];
}

function fromExtract(edge: Edge, project: Project): Violation[] {
  if (!edge.file.startsWith('extract/') || edge.target.kind !== 'path') return [];
  const module = moduleOf(edge.target.path);
  if (module === undefined || contractBehind(edge)) return [];
  return [
    {
      rule: 'extract-through-contracts',
      ...at(edge),
      found: `extract imports ${edge.specifier}, which is private to ${module}`,
      legal: `src/, contracts: ${list(project.modules.map(contractPath))}`,
      remedy: 'Load modules by discoverModules(), or use the contract.',
    },
  ];
}

function ofPackage(edge: Edge, project: Project): Violation[] {
  if (edge.target.kind !== 'package') return [];
  const { dependencies = {}, devDependencies = {} } = project.manifest;
  const { name } = edge.target;
  const forTests = isTest(edge.file) || edge.file.startsWith('extract/');
  if (name in dependencies || (forTests && name in devDependencies)) return [];
  return [
    {
      rule: 'packages-are-declared',
      ...at(edge),
      found: `imports ${edge.specifier}`,
      legal: forTests ? 'node:…, dependencies and devDependencies of package.json' : 'node:…, dependencies of package.json',
      remedy: wayToPackage(edge.specifier!, name, devDependencies),
    },
  ];
}

function wayToPackage(specifier: string, name: string, devDependencies: Readonly<Record<string, string>>): string {
  if (isBuiltin(specifier)) return `Write node:${specifier}.`;
  if (name in devDependencies) return `Import ${name} in tests only, or move it to dependencies.`;
  return `Install ${name} by its exact version, or do without it.`;
}

function ofTestCode(edge: Edge): Violation[] {
  if (isTest(edge.file) || edge.target.kind !== 'path' || !isTest(edge.target.path)) return [];
  if (moduleOf(edge.file) !== undefined && edge.target.alias === '#testing') return [];
  // A plan of what a module's leaving means is made from what the checks know of it.
  if (edge.file.startsWith('extract/') && edge.target.path.startsWith('src/check/')) return [];
  return [
    {
      rule: 'production-without-tests',
      ...at(edge),
      found: `imports ${edge.specifier}, which is made for tests and checks`,
      legal: 'anything outside src/testing, src/check and *.test.ts',
      remedy: 'Move what both need out of the test code.',
    },
  ];
}

function at({ file, line }: Edge): Pick<Violation, 'file' | 'line'> {
  return { file, line };
}

function list(paths: readonly string[]): string {
  return paths.join(', ');
}

/** The kernel names no module, not even in a string: what it must know about one comes with its definition. */
import { isTest } from './layout.ts';
import type { Project } from './project.ts';
import type { Violation } from './violation.ts';

export function kernelNameViolations(project: Project): Violation[] {
  const kernel = [...project.facts].filter(([file]) => file.startsWith('src/') && !isTest(file));
  return kernel.flatMap(([file, { strings }]) =>
    strings.flatMap(({ text, line }): Violation[] => {
      const module = project.modules.find((name) => namesModule(text, name));
      if (module === undefined) return [];
      return [
        {
          rule: 'kernel-knows-no-module',
          file,
          line,
          found: `the kernel names the module ${module} in '${text}'`,
          legal: 'the name that a contract brings with it: contract.name, event.module',
          remedy: 'Take the contract, or a name, as a parameter; where all modules are meant, go through discoverModules().',
        },
      ];
    }),
  );
}

/** Roles are the kernel's own words; a module may be called like one. */
const ownWords = new Set(['customer', 'support', 'admin']);

/** Exactly the name, its folder, or what is filed under it: `orders`, `modules/orders`, `orders.order-placed.v1`, `orders_outbox`. */
function namesModule(text: string, module: string): boolean {
  if (!text.includes(module) || ownWords.has(text)) return false;
  return text === module || new RegExp(`^${module}[._]|(^|/)modules/${module}(/|$)`).test(text);
}

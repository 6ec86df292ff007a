/** The modules and who needs whom, as a Mermaid flowchart. */
import { eventsOf, type ShopModel } from './model.ts';

/** Solid arrows call operations, dotted ones carry events from publisher to subscriber. What a module does for itself is no arrow. */
export function moduleGraph(model: ShopModel): string {
  const nodes = model.modules.map(({ name }) => `  ${id(name)}["${name}"]`);
  const calls = model.modules.flatMap(({ name, calls }) => calls.map((callee) => `  ${id(name)} --> ${id(callee)}`));
  const events = model.modules.flatMap((publisher) => {
    const types = eventsOf(publisher.contract).map(([, { type }]) => type);
    const subscribers = model.modules.filter(({ name, handles }) => name !== publisher.name && handles.some((type) => types.includes(type)));
    return subscribers.map(({ name }) => `  ${id(publisher.name)} -.-> ${id(name)}`);
  });
  return ['```mermaid', 'flowchart LR', ...nodes, ...calls, ...events, '```'].join('\n');
}

/** Mermaid takes some words, such as `end`, for its own: a suffix keeps module names out of their way. */
function id(module: string): string {
  return `${module.replaceAll('-', '_')}_`;
}

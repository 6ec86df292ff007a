/** docs/modules.md: the modules, what they offer and whom they need. */
import { moduleGraph } from './graph.ts';
import { code, codes, generatedNote, page, table } from './markdown.ts';
import { eventsOf, type ModuleModel, type ShopModel } from './model.ts';
import type { Operation } from '../../contract/contract.ts';

export function modulesPage(model: ShopModel): string {
  return page(
    generatedNote,
    '# Modules',
    'Solid arrows call operations; dotted ones carry events from the publisher to whoever handles them. Nothing else connects two modules.',
    moduleGraph(model),
    ...model.modules.map((module) => section(module, model)),
  );
}

function section(module: ModuleModel, model: ShopModel): string {
  const { contract, calls, handles, tables } = module;
  const calledBy = model.modules.filter((other) => other.calls.includes(module.name)).map(({ name }) => name);
  return [
    `## ${module.name}`,
    contract.summary,
    table(
      ['contract', `version ${contract.version}`],
      [
        ['calls', codes(calls)],
        ['is called by', codes(calledBy)],
        ['handles', codes(handles)],
        ['publishes', codes(eventsOf(contract).map(([, { type }]) => type))],
        ['tables', codes(tables)],
      ],
    ),
    operationTable(contract.operations),
  ].join('\n\n');
}

function operationTable(operations: Readonly<Record<string, Operation>>): string {
  if (Object.keys(operations).length === 0) return 'It offers no operations.';
  return table(
    ['operation', 'version', 'kind', 'deadline', 'errors', 'what it does'],
    Object.entries(operations).map(([name, operation]) => {
      const { version, deadlineMs, errors, summary } = operation;
      return [code(name), String(version), kindOf(operation), `${deadlineMs} ms`, codes(errors), summary];
    }),
  );
}

function kindOf(operation: Operation): string {
  if (operation.kind === 'query') return 'query';
  return operation.idempotent ? 'command, idempotent' : 'command';
}

/** docs/errors.md: every code that the shop answers with, and what to do about it. */
import type { Contract, ErrorSpec } from '../../contract/contract.ts';
import { kernelErrors } from '../../contract/errors.ts';
import { platform } from '../../host/platform.ts';
import { code, codes, generatedNote, page, table } from './markdown.ts';
import { operationsOf, type ShopModel } from './model.ts';

export function errorsPage({ modules }: ShopModel): string {
  return page(
    generatedNote,
    '# Errors',
    [
      'Errors are `application/problem+json` (RFC 9457). `code` is stable: programs may rely on it.',
      '`detail` names the value and what was expected; `traceId` finds the request in the logs.',
    ].join(' '),
    '## Any request and any call',
    table(['code', 'status', 'title', 'what to do'], Object.entries<ErrorSpec>(kernelErrors).map(row)),
    ...[platform, ...modules.map(({ contract }) => contract)].filter(({ errors }) => Object.keys(errors).length > 0).map(section),
  );
}

function section(contract: Contract): string {
  const rows = Object.entries(contract.errors).map(([name, spec]) => [...row([name, spec]), codes(operationsThatAnswer(contract, name))]);
  return [`## ${contract.name}`, table(['code', 'status', 'title', 'what to do', 'operations that answer with it'], rows)].join('\n\n');
}

function row([name, { status, title, remedy }]: [string, ErrorSpec]): string[] {
  return [code(name), String(status), title, remedy];
}

/** Operations that may answer with a code of the module's catalogue; the others are for its routes alone. */
function operationsThatAnswer(contract: Contract, errorCode: string): string[] {
  return operationsOf(contract)
    .filter(([, { errors }]) => errors.includes(errorCode))
    .map(([name]) => `${contract.name}.${name}`);
}

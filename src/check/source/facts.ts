/** What the checks want to know about a source file: what it imports, says, declares, and uses of contracts. */
import {
  isBindingElement,
  isCallExpression,
  isIdentifier,
  isNoSubstitutionTemplateLiteral,
  isObjectBindingPattern,
  isObjectLiteralExpression,
  isPrivateIdentifier,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isShorthandPropertyAssignment,
  isStringLiteral,
  isTemplateHead,
  isTemplateMiddleOrTail,
  isTypeQueryNode,
  isVariableDeclaration,
} from 'typescript/unstable/ast/is';
import type { Node, SourceFile } from 'typescript/unstable/ast';
import { type Import, importOf } from './imports.ts';
import { parseAll } from './parse.ts';
import type { Tree } from './tree.ts';

type At<T> = T & { readonly line: number };

/** A property of an object literal: its key and what it names, as far as that can be read off. */
export interface Property {
  readonly key: string;
  readonly line: number;
  readonly identifier: string | undefined;
  readonly text: string | undefined;
  readonly properties: readonly Property[] | undefined;
}

export interface Facts {
  readonly imports: At<Import>[];
  /** String literals and the fixed parts of templates, but not what is imported from. */
  readonly strings: At<{ text: string }>[];
  /**
   * `orders.events.orderPlaced`: `of` is orders; `event` is undefined where the events are taken apart elsewhere.
   * `isHandled` where it is what `on(…)` is called with.
   */
  readonly events: At<{ of: string; event: string | undefined; isHandled: boolean }>[];
  /** Clients that are taken by key: `clients.catalog`, `const { catalog } = clients`. */
  readonly clients: At<{ key: string }>[];
  /** `typeof catalog`, or `typeof catalog.events` with `member` events. */
  readonly typeQueries: At<{ of: string; member: string | undefined }>[];
  /** Object literals by the constant that holds them. */
  readonly objects: Map<string, readonly Property[]>;
  /** Object literals that are the first argument of a call: `defineModule({ … })`; `local` is the constant, if one holds the result. */
  readonly calls: At<{ callee: string; local: string | undefined; properties: readonly Property[] }>[];
}

/** Facts of every TypeScript file of the tree. */
export function gatherFacts(tree: Tree): Map<string, Facts> {
  return parseAll(new Map([...tree].filter(([path]) => path.endsWith('.ts'))), factsOf);
}

function factsOf(source: SourceFile): Facts {
  const facts: Facts = { imports: [], strings: [], events: [], clients: [], typeQueries: [], objects: new Map(), calls: [] };
  const lineOf = (node: Node): number => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
  const visit = (node: Node): void => {
    const imported = importOf(node);
    if (imported) {
      facts.imports.push({ ...imported, line: lineOf(node) });
      return;
    }
    noteText(node, facts, lineOf);
    noteUse(node, facts, lineOf);
    noteObject(node, facts, lineOf);
    node.forEachChild((child) => {
      visit(child);
    });
  };
  visit(source);
  return facts;
}

type LineOf = (node: Node) => number;

function noteText(node: Node, facts: Facts, lineOf: LineOf): void {
  if (isStringLiteral(node) || isNoSubstitutionTemplateLiteral(node) || isTemplateHead(node) || isTemplateMiddleOrTail(node)) {
    facts.strings.push({ text: node.text, line: lineOf(node) });
  }
}

function noteUse(node: Node, facts: Facts, lineOf: LineOf): void {
  if (isTypeQueryNode(node)) {
    const [of, member] = node.exprName.getText().split('.');
    facts.typeQueries.push({ of: of!, member, line: lineOf(node) });
  }
  if (isPropertyAccessExpression(node)) {
    const { expression: target, name } = node;
    if (isPropertyAccessExpression(target) && isIdentifier(target.expression) && target.name.text === 'events') {
      facts.events.push({ of: target.expression.text, event: name.text, isHandled: isHandled(node), line: lineOf(node) });
    }
    if (nameOf(target) === 'clients') facts.clients.push({ key: name.text, line: lineOf(node) });
  }
  if (isVariableDeclaration(node) && node.initializer && isObjectBindingPattern(node.name)) {
    const { initializer } = node;
    for (const key of keysOf(node.name)) {
      if (nameOf(initializer) === 'clients') facts.clients.push({ key, line: lineOf(node) });
      if (isIdentifier(initializer) && key === 'events') facts.events.push({ of: initializer.text, event: undefined, isHandled: false, line: lineOf(node) });
    }
  }
  if (isBindingElement(node) && node.propertyName && nameOf(node.propertyName) === 'clients' && node.name && isObjectBindingPattern(node.name)) {
    facts.clients.push(...keysOf(node.name).map((key) => ({ key, line: lineOf(node) })));
  }
}

function isHandled({ parent }: Node): boolean {
  return parent !== undefined && isCallExpression(parent) && nameOf(parent.expression) === 'on';
}

function noteObject(node: Node, facts: Facts, lineOf: LineOf): void {
  if (isVariableDeclaration(node) && isIdentifier(node.name) && node.initializer && isObjectLiteralExpression(node.initializer)) {
    facts.objects.set(node.name.text, propertiesOf(node.initializer, lineOf) ?? []);
  }
  if (!isCallExpression(node) || !isIdentifier(node.expression)) return;
  const properties = propertiesOf(node.arguments[0], lineOf);
  const holder = node.parent;
  const local = holder && isVariableDeclaration(holder) && isIdentifier(holder.name) ? holder.name.text : undefined;
  if (properties) facts.calls.push({ callee: node.expression.text, local, properties, line: lineOf(node) });
}

function propertiesOf(node: Node | undefined, lineOf: LineOf): Property[] | undefined {
  if (!node || !isObjectLiteralExpression(node)) return undefined;
  return node.properties.flatMap((property): Property[] => {
    if (!isPropertyAssignment(property) && !isShorthandPropertyAssignment(property)) return [];
    const key = nameOf(property.name);
    if (key === undefined) return [];
    const value = isPropertyAssignment(property) ? property.initializer : undefined;
    return [
      {
        key,
        line: lineOf(property),
        identifier: isShorthandPropertyAssignment(property) ? key : value && isIdentifier(value) ? value.text : undefined,
        text: value && isStringLiteral(value) ? value.text : undefined,
        properties: propertiesOf(value, lineOf),
      },
    ];
  });
}

/** The last name of `clients`, `this.clients`, `this.#clients`, `'clients'`. */
function nameOf(node: Node): string | undefined {
  if (isPropertyAccessExpression(node)) return nameOf(node.name);
  if (isPrivateIdentifier(node)) return node.text.replace(/^#/, '');
  return isIdentifier(node) || isStringLiteral(node) ? node.text : undefined;
}

function keysOf(pattern: Node): string[] {
  const keys: string[] = [];
  pattern.forEachChild((element) => {
    const name = isBindingElement(element) ? (element.propertyName ?? element.name) : undefined;
    const key = name && nameOf(name);
    if (key !== undefined) keys.push(key);
  });
  return keys;
}

/** Takes the units out of a source file. */
import {
  isArrowFunction,
  isBinaryExpression,
  isCallExpression,
  isConditionalExpression,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isIdentifier,
  isIfStatement,
  isImportDeclaration,
  isMethodDeclaration,
  isObjectLiteralExpression,
  isPrivateIdentifier,
  isPropertyAccessExpression,
  isPropertyAssignment,
  isStringLiteral,
  isThrowStatement,
  isTryStatement,
  isTypeNode,
  isVariableDeclaration,
} from 'typescript/unstable/ast/is';
import { type CallExpression, type Node, type SourceFile, SyntaxKind } from 'typescript/unstable/ast';
import { type Reach, STRAIGHT, type Unit, type UnitKind } from './unit.ts';

const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);
const SAGA_ENTRIES = new Set(['begin', 'signal', 'abort']);
const SHORT_CIRCUITS = new Set([SyntaxKind.AmpersandAmpersandToken, SyntaxKind.BarBarToken, SyntaxKind.QuestionQuestionToken]);

interface Place extends Reach {
  readonly unit: Unit;
}

/** @param guards names of functions that catch what a function they are given fails with, see `guardsIn` */
export function unitsOf(source: SourceFile, file: string, guards: ReadonlySet<string>): Unit[] {
  return new Reader(source, file, guards).read();
}

/** Functions that call a parameter of theirs where a failure is caught. */
export function guardsIn(source: SourceFile): string[] {
  const found: string[] = [];
  const visit = (node: Node): void => {
    const made = functionOf(node);
    if (made && made.parameters.some((name) => callsGuarded(made.body, name, false))) found.push(made.name);
    eachChild(node, visit);
  };
  visit(source);
  return found;
}

function callsGuarded(node: Node, name: string, caught: boolean): boolean {
  if (caught && isCallExpression(node) && isIdentifier(node.expression) && node.expression.text === name) return true;
  let found = false;
  eachChild(node, (child) => {
    found ||= callsGuarded(child, name, caught || isCaughtIn(node, child));
  });
  return found;
}

class Reader {
  readonly #source: SourceFile;
  readonly #file: string;
  readonly #guards: ReadonlySet<string>;
  readonly #units: Unit[] = [];

  constructor(source: SourceFile, file: string, guards: ReadonlySet<string>) {
    this.#source = source;
    this.#file = file;
    this.#guards = guards;
  }

  read(): Unit[] {
    const top = this.#unit('function', '(top)', this.#source);
    this.#children(this.#source, { unit: top, ...STRAIGHT });
    return this.#units;
  }

  #visit(node: Node, place: Place): void {
    if (isImportDeclaration(node) || isTypeNode(node)) return;
    const own = this.#ownUnit(node);
    if (own) {
      if (own.kind !== 'route' && own.kind !== 'handler') place.unit.inner.push({ unit: own, caught: place.caught, sometimes: place.sometimes });
      this.#children(node, { unit: own, ...STRAIGHT });
      return;
    }
    this.#note(node, place);
    this.#children(node, place);
  }

  #children(node: Node, place: Place): void {
    eachChild(node, (child) => {
      const caught = place.caught || isCaughtIn(node, child) || this.#isGuardedArgument(node, child);
      this.#visit(child, { unit: place.unit, caught, sometimes: place.sometimes || isConditionalIn(node, child) });
    });
  }

  #isGuardedArgument(node: Node, child: Node): boolean {
    return isCallExpression(node) && child !== node.expression && isFunction(child) && this.#guards.has(lastName(node.expression) ?? '');
  }

  #ownUnit(node: Node): Unit | undefined {
    if (isCallExpression(node)) {
      const route = routeOf(node);
      if (route) return this.#unit('route', route, node);
      const handled = lastName(node.expression) === 'on' && node.arguments[0]?.getText(this.#source);
      return handled && handled.includes('.events.') ? this.#unit('handler', handled, node) : undefined;
    }
    const made = functionOf(node);
    return made && this.#unit(made.kind, made.name, node);
  }

  #unit(kind: UnitKind, name: string, node: Node): Unit {
    const unit: Unit = { kind, name, file: this.#file, line: this.#lineOf(node), uses: [], calls: [], inner: [], publishes: [], setsSagaGoing: false, makesSaga: false };
    this.#units.push(unit);
    return unit;
  }

  #lineOf(node: Node): number {
    return this.#source.getLineAndCharacterOfPosition(node.getStart(this.#source)).line + 1;
  }

  #note(node: Node, { unit, caught, sometimes }: Place): void {
    if (isCallExpression(node)) this.#noteCall(node, { unit, caught, sometimes });
    if (isPropertyAccessExpression(node)) unit.uses.push({ name: textOf(node.name), isMember: true, caught, sometimes });
    else if (isIdentifier(node) && !isNameOnly(node)) unit.uses.push({ name: node.text, isMember: false, caught, sometimes });
  }

  #noteCall(node: CallExpression, { unit, caught, sometimes }: Place): void {
    const [first] = node.arguments;
    const name = lastName(node.expression);
    if (name === 'createSaga') unit.makesSaga = true;
    if (!isPropertyAccessExpression(node.expression) || name === undefined || !first) return;
    if (node.arguments.length === 2 && isObjectLiteralExpression(first)) {
      unit.calls.push({ receiver: lastName(node.expression.expression) ?? '', name, line: this.#lineOf(node), caught, sometimes });
    }
    if (name === 'publish') unit.publishes.push(first.getText(this.#source).replace('.events.', '.'));
    if (SAGA_ENTRIES.has(name) && lastName(first) === 'tx') unit.setsSagaGoing = true;
  }
}

interface Made {
  readonly kind: 'function' | 'member' | 'operation';
  readonly name: string;
  readonly body: Node;
  readonly parameters: readonly string[];
}

/** A function with a name of its own, or under the name of the constant or property that holds it. */
function functionOf(node: Node): Made | undefined {
  if (isFunctionDeclaration(node) && node.name && node.body) return { kind: 'function', name: node.name.text, body: node.body, parameters: parametersOf(node) };
  if ((isMethodDeclaration(node) || isGetAccessorDeclaration(node)) && node.body) return { kind: kindOfMember(node), name: textOf(node.name), body: node.body, parameters: parametersOf(node) };
  if (isVariableDeclaration(node) && isIdentifier(node.name) && node.initializer && isFunction(node.initializer)) return { kind: 'function', name: node.name.text, body: node.initializer, parameters: parametersOf(node.initializer) };
  if (isPropertyAssignment(node) && isFunction(node.initializer)) return { kind: kindOfMember(node), name: textOf(node.name), body: node.initializer, parameters: parametersOf(node.initializer) };
  return undefined;
}

/** What stands in an object called `operations` is what the contract offers. */
function kindOfMember(node: Node): 'member' | 'operation' {
  const holder = node.parent?.parent;
  if (!holder || !isObjectLiteralExpression(node.parent)) return 'member';
  const named = isPropertyAssignment(holder) || isVariableDeclaration(holder) ? holder.name : isBinaryExpression(holder) ? holder.left : undefined;
  return named && lastName(named) === 'operations' ? 'operation' : 'member';
}

function parametersOf(node: Node): string[] {
  const { parameters = [] } = node as unknown as { parameters?: readonly { readonly name: Node }[] };
  return [...parameters].flatMap(({ name }) => (isIdentifier(name) ? [name.text] : []));
}

function isFunction(node: Node): boolean {
  return isArrowFunction(node) || isFunctionExpression(node);
}

/** `POST /orders` of `app.post('/orders', …)` and of `app.route({ method, url, … })`. */
function routeOf(node: CallExpression): string | undefined {
  if (!isPropertyAccessExpression(node.expression) || lastName(node.expression.expression) !== 'app') return undefined;
  const method = textOf(node.expression.name);
  const [first] = node.arguments;
  if (first && METHODS.has(method) && isStringLiteral(first)) return `${method.toUpperCase()} ${first.text}`;
  if (!first || method !== 'route' || !isObjectLiteralExpression(first)) return undefined;
  const [verb, url] = ['method', 'url'].map((key) => first.properties.find((property) => isPropertyAssignment(property) && textOf(property.name) === key));
  if (!verb || !url || !isPropertyAssignment(verb) || !isPropertyAssignment(url)) return undefined;
  return isStringLiteral(verb.initializer) && isStringLiteral(url.initializer) ? `${verb.initializer.text} ${url.initializer.text}` : undefined;
}

/** Whether what fails in `child` is caught by `node`, right around it, for good. */
function isCaughtIn(node: Node, child: Node): boolean {
  if (isTryStatement(node)) return child === node.tryBlock && node.catchClause !== undefined && !throws(node.catchClause);
  if (!isCallExpression(node) || child !== node.expression || !isPropertyAccessExpression(child)) return false;
  const handler = textOf(child.name) === 'catch' ? node.arguments[0] : textOf(child.name) === 'then' ? node.arguments[1] : undefined;
  return handler !== undefined && !throws(handler);
}

function throws(node: Node): boolean {
  if (isThrowStatement(node)) return true;
  let found = false;
  eachChild(node, (child) => {
    found ||= throws(child);
  });
  return found;
}

function isConditionalIn(node: Node, child: Node): boolean {
  if (isIfStatement(node)) return child !== node.expression;
  if (isConditionalExpression(node)) return child !== node.condition;
  if (isTryStatement(node)) return child === node.catchClause;
  return isBinaryExpression(node) && child === node.right && SHORT_CIRCUITS.has(node.operatorToken.kind);
}

/** Where an identifier only says how something is called. */
function isNameOnly(node: Node): boolean {
  const { parent } = node;
  if (isPropertyAssignment(parent) || isVariableDeclaration(parent)) return parent.name === node;
  return isPropertyAccessExpression(parent) && parent.name === node;
}

/** The last name of `x`, `this.x`, `this.#x`, `y.x`. */
function lastName(node: Node): string | undefined {
  if (isPropertyAccessExpression(node)) return textOf(node.name).replace(/^#/, '');
  return isIdentifier(node) ? node.text : undefined;
}

function textOf(node: Node): string {
  return isIdentifier(node) || isPrivateIdentifier(node) || isStringLiteral(node) ? node.text : '';
}

function eachChild(node: Node, visit: (child: Node) => void): void {
  node.forEachChild((child) => {
    visit(child);
  });
}

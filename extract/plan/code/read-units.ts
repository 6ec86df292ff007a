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
  isPropertyDeclaration,
  isStringLiteral,
  isThrowStatement,
  isTryStatement,
  isTypeNode,
  isVariableDeclaration,
} from 'typescript/unstable/ast/is';
import { type CallExpression, type Node, type ObjectLiteralExpression, type SourceFile, SyntaxKind } from 'typescript/unstable/ast';
import { type Reach, RUN_APART, STRAIGHT, type Unit, type UnitKind } from './unit.ts';

const METHODS = new Set(['get', 'post', 'put', 'patch', 'delete']);
const SAGA_ENTRIES = new Set(['begin', 'signal', 'abort']);
/** Members that begin by themselves what a module does, and those by which their holder is known. */
const BEGINNERS: readonly (readonly [member: string, holderHas: string])[] = [['run', 'everyMs'], ['start', 'operations'], ['seed', 'operations']];
const SHORT_CIRCUITS = new Set([SyntaxKind.AmpersandAmpersandToken, SyntaxKind.BarBarToken, SyntaxKind.QuestionQuestionToken]);

interface Place extends Reach {
  readonly unit: Unit;
}

/** What a module's functions do with failures, by their names. */
export interface Manners {
  /** Throws nothing itself. */
  readonly quiet: ReadonlySet<string>;
  /** Throws, or throws on. */
  readonly loud: ReadonlySet<string>;
  /** Catches what a function that it is given fails with. */
  readonly guards: ReadonlySet<string>;
}

export function unitsOf(source: SourceFile, file: string, manners: Manners): Unit[] {
  return new Reader(source, file, manners).read();
}

/** Functions by whether there is a `throw` in them. */
export function voicesIn(source: SourceFile): { readonly name: string; readonly isLoud: boolean }[] {
  return functionsIn(source).map(({ name, body }) => ({ name, isLoud: contains(body, isThrowStatement) }));
}

/** Functions that call a parameter of theirs where a failure is caught. */
export function guardsIn(source: SourceFile, manners: Manners): string[] {
  return functionsIn(source).flatMap(({ name, body, parameters }) => (parameters.some((parameter) => callsGuarded(body, parameter, manners, false)) ? [name] : []));
}

function functionsIn(source: SourceFile): Made[] {
  const found: Made[] = [];
  const visit = (node: Node): void => {
    const made = functionOf(node);
    if (made) found.push({ ...made, name: made.name.replace(/^#/, '') });
    eachChild(node, visit);
  };
  visit(source);
  return found;
}

function callsGuarded(node: Node, name: string, manners: Manners, caught: boolean): boolean {
  if (caught && isCallExpression(node) && isIdentifier(node.expression) && node.expression.text === name) return true;
  let found = false;
  eachChild(node, (child) => {
    found ||= callsGuarded(child, name, manners, caught || isCaughtIn(node, child, manners));
  });
  return found;
}

class Reader {
  readonly #source: SourceFile;
  readonly #file: string;
  readonly #manners: Manners;
  readonly #units: Unit[] = [];

  constructor(source: SourceFile, file: string, manners: Manners) {
    this.#source = source;
    this.#file = file;
    this.#manners = manners;
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
      if (!RUN_APART.has(own.kind)) place.unit.inner.push({ unit: own, caught: place.caught, sometimes: place.sometimes });
      this.#children(node, { unit: own, ...STRAIGHT });
      return;
    }
    this.#note(node, place);
    this.#children(node, place);
  }

  #children(node: Node, place: Place): void {
    eachChild(node, (child) => {
      const caught = place.caught || isCaughtIn(node, child, this.#manners) || this.#isGuardedArgument(node, child);
      this.#visit(child, { unit: place.unit, caught, sometimes: place.sometimes || isConditionalIn(node, child) });
    });
  }

  #isGuardedArgument(node: Node, child: Node): boolean {
    return isCallExpression(node) && child !== node.expression && isFunction(child) && this.#manners.guards.has(lastName(node.expression) ?? '');
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
  readonly kind: 'function' | 'member' | 'operation' | 'task';
  readonly name: string;
  readonly body: Node;
  readonly parameters: readonly string[];
}

/** A function with a name of its own, or under the name of the constant or property that holds it. */
function functionOf(node: Node): Made | undefined {
  if (isFunctionDeclaration(node) && node.name && node.body) return { kind: 'function', name: node.name.text, body: node.body, parameters: parametersOf(node) };
  if ((isMethodDeclaration(node) || isGetAccessorDeclaration(node)) && node.body) return { ...memberOf(node, textOf(node.name)), body: node.body, parameters: parametersOf(node) };
  if (isVariableDeclaration(node) && isIdentifier(node.name) && node.initializer && isFunction(node.initializer)) return { kind: 'function', name: node.name.text, body: node.initializer, parameters: parametersOf(node.initializer) };
  if (isPropertyDeclaration(node) && node.initializer && isFunction(node.initializer)) return { kind: 'member', name: textOf(node.name), body: node.initializer, parameters: parametersOf(node.initializer) };
  if (isPropertyAssignment(node) && isFunction(node.initializer)) return { ...memberOf(node, textOf(node.name)), body: node.initializer, parameters: parametersOf(node.initializer) };
  return undefined;
}

/** What stands in an object called `operations` is what the contract offers; a task is called as its object says. */
function memberOf(node: Node, name: string): Pick<Made, 'kind' | 'name'> {
  const { parent } = node;
  if (!isObjectLiteralExpression(parent)) return { kind: 'member', name };
  if (BEGINNERS.some(([member, other]) => member === name && propertyOf(parent, other))) return { kind: 'task', name: nameGivenIn(parent) ?? name };
  const holder = parent.parent;
  const named = isPropertyAssignment(holder) || isVariableDeclaration(holder) ? holder.name : isBinaryExpression(holder) ? holder.left : undefined;
  return { kind: named && lastName(named) === 'operations' ? 'operation' : 'member', name };
}

function propertyOf(object: ObjectLiteralExpression, name: string): Node | undefined {
  return object.properties.find((property) => 'name' in property && property.name && textOf(property.name as Node) === name);
}

function nameGivenIn(object: ObjectLiteralExpression): string | undefined {
  const given = propertyOf(object, 'name');
  return given && isPropertyAssignment(given) && isStringLiteral(given.initializer) ? given.initializer.text : undefined;
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
function isCaughtIn(node: Node, child: Node, manners: Manners): boolean {
  if (isTryStatement(node)) return child === node.tryBlock && node.catchClause !== undefined && !throws(node.catchClause, manners);
  if (!isCallExpression(node) || child !== node.expression || !isPropertyAccessExpression(child)) return false;
  const handler = textOf(child.name) === 'catch' ? node.arguments[0] : textOf(child.name) === 'then' ? node.arguments[1] : undefined;
  if (handler === undefined) return false;
  // What a handler from elsewhere does is not known: it is taken to throw on.
  const name = isFunction(handler) ? undefined : lastName(handler);
  return name === undefined ? !throws(handler, manners) : manners.quiet.has(name) && !manners.loud.has(name);
}

/** Itself, or by a function of the module that it calls. */
function throws(node: Node, { loud }: Manners): boolean {
  return contains(node, (each) => isThrowStatement(each) || (isCallExpression(each) && loud.has(lastName(each.expression) ?? '')));
}

function contains(node: Node, is: (node: Node) => boolean): boolean {
  if (is(node)) return true;
  let found = false;
  eachChild(node, (child) => {
    found ||= contains(child, is);
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

/** The ways in which one file takes something from another: static, dynamic, re-exporting, in a type. */
import {
  isCallExpression,
  isExportDeclaration,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isNamedImports,
  isNamespaceImport,
  isStringLiteral,
} from 'typescript/unstable/ast/is';
import { type ImportDeclaration, type Node, SyntaxKind } from 'typescript/unstable/ast';

export interface ImportedName {
  /** As the other file exports it; `*` for all of it. */
  readonly imported: string;
  readonly local: string;
}

export interface Import {
  /** Undefined where it is computed at run time. */
  readonly specifier: string | undefined;
  readonly names: readonly ImportedName[];
}

/** What the node imports; undefined when it is no import. */
export function importOf(node: Node): Import | undefined {
  if (isImportDeclaration(node)) return { specifier: literal(node.moduleSpecifier), names: namesOf(node) };
  if (isExportDeclaration(node)) return node.moduleSpecifier && { specifier: literal(node.moduleSpecifier), names: [] };
  if (isImportTypeNode(node)) return { specifier: isLiteralTypeNode(node.argument) ? literal(node.argument.literal) : undefined, names: [] };
  if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) return { specifier: literal(node.arguments[0]), names: [] };
  return undefined;
}

function literal(node: Node | undefined): string | undefined {
  return node && isStringLiteral(node) ? node.text : undefined;
}

function namesOf(declaration: ImportDeclaration): ImportedName[] {
  const clause = declaration.importClause;
  const bindings = clause?.namedBindings;
  const names: ImportedName[] = clause?.name ? [{ imported: 'default', local: clause.name.text }] : [];
  if (bindings && isNamespaceImport(bindings)) names.push({ imported: '*', local: bindings.name.text });
  if (bindings && isNamedImports(bindings)) {
    names.push(...bindings.elements.map((element) => ({ imported: (element.propertyName ?? element.name).text, local: element.name.text })));
  }
  return names;
}

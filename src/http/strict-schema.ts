/** Tightens and slims the schemas of routes before they are compiled, so that no author has to think of it. */

interface Node {
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly additionalProperties?: unknown;
  readonly patternProperties?: unknown;
  readonly enum?: readonly unknown[];
  readonly [keyword: string]: unknown;
}

/** Schemas are shared among routes and between GET and HEAD: each is changed once, so each is compiled once. */
function remembered(change: (node: Node) => Node): (schema: object) => object {
  const done = new WeakMap<object, object>();
  return (schema) => {
    const known = done.get(schema);
    if (known) return known;
    const changed = change(schema as Node);
    done.set(schema, changed);
    return changed;
  };
}

/** Refuses properties that an object schema does not name, at every level, unless it says otherwise itself. */
export const refuseUnknown = remembered(tighten);

function tighten(node: Node): Node {
  const closed = node.type === 'object' && node.properties && node.additionalProperties === undefined && !node.patternProperties;
  return { ...inside(node, tighten), ...(closed && { additionalProperties: false }) };
}

/**
 * Writes `X or null` as a nullable X. The serialiser tells members of a union apart by validating each value
 * against each; building that takes 1.8 ms per schema at start, and every reply pays for it.
 */
export const foldNullable = remembered(fold);

function fold(node: Node): Node {
  const members = node.anyOf?.filter((member) => member.type !== 'null');
  const folds = members?.length === 1 && node.anyOf!.length === 2 && typeof members[0]!.type === 'string';
  if (!folds) return inside(node, fold);
  const { anyOf: _, ...rest } = node;
  const member = fold(members[0]!);
  return { ...rest, ...member, nullable: true, ...(member.enum && { enum: [...member.enum, null] }) };
}

function inside(node: Node, change: (node: Node) => Node): Node {
  const { properties, items, anyOf } = node;
  return {
    ...node,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, change(property)])) }),
    ...(items && { items: change(items) }),
    ...(anyOf && { anyOf: anyOf.map(change) }),
  };
}

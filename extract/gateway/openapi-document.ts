/** An OpenAPI document, as far as the gateway looks into it; and how those of services become one. */

export interface DocumentedOperation {
  readonly security?: readonly Readonly<Record<string, unknown>>[];
}

export interface OpenApiDocument {
  readonly paths?: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components?: { readonly schemas?: object; readonly responses?: object };
}

export type Paths = NonNullable<OpenApiDocument['paths']>;

/** The part of a service's document that is about what lies under these paths. */
export function partOf(document: OpenApiDocument, prefixes: readonly string[]): OpenApiDocument {
  const isOwn = (path: string) => prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`));
  return { paths: Object.fromEntries(Object.entries(document.paths ?? {}).filter(([path]) => isOwn(path))), components: document.components ?? {} };
}

/** Where two parts have components of one name, the first one's is taken, as it is when one process documents both. */
export function merged(own: OpenApiDocument, parts: readonly OpenApiDocument[]): OpenApiDocument {
  const all = [own, ...parts];
  const firstOfEach = (of: (part: OpenApiDocument) => object | undefined) => {
    const first = new Map<string, unknown>();
    for (const [name, value] of all.flatMap((part) => Object.entries(of(part) ?? {}))) if (!first.has(name)) first.set(name, value);
    return Object.fromEntries(first);
  };
  return {
    ...own,
    paths: firstOfEach(({ paths }) => paths) as Paths,
    components: { ...own.components, schemas: firstOfEach(({ components }) => components?.schemas), responses: firstOfEach(({ components }) => components?.responses) },
  };
}

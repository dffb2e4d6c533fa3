const PREFIX = '#/components/schemas/';

/**
 * Leaves the component schemas that something refers to, and lets a reference to a schema that is not there mean any
 * JSON. zod registers every named schema as an input and as an output, of which one is used; and for the inner part of
 * `z.json()`, which refers to itself, the generator writes a reference but no definition.
 */
export function tidyComponents<D extends object>(document: D): D {
  const { paths: given, components } = document as {
    readonly paths?: unknown;
    readonly components?: { readonly schemas?: Record<string, unknown> };
  };
  const schemas = components?.schemas ?? {};
  const used = new Set<string>();
  const visit = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(visit);
    if (typeof value !== 'object' || value === null) return value;
    const reference = (value as { $ref?: unknown }).$ref;
    if (typeof reference === 'string' && reference.startsWith(PREFIX)) {
      const name = reference.slice(PREFIX.length);
      if (!(name in schemas)) return { description: 'Any JSON value.' };
      used.add(name);
    }
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, visit(inner)]));
  };
  const paths = visit(given);
  const kept: Record<string, unknown> = {};
  // What is used refers to more; a set gives what is added to it during the walk, too.
  for (const name of used) kept[name] = visit(schemas[name]);
  return { ...document, paths, components: { ...components, schemas: kept } };
}

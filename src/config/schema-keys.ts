import { z } from 'zod';
import type { Condition } from './conditions.ts';
import { own } from './own.ts';
import type { Scaling } from './scaling.ts';

/** What a schema says about one of its keys: the only source of flags, help and documentation. */
export interface SchemaKey {
  name: string;
  description: string;
  required: boolean;
  default?: unknown;
  kind: 'boolean' | 'number' | 'string' | 'list' | 'other';
  /** The allowed values of an enumeration. */
  values?: readonly string[];
  /** The type in words: `whole number`, `pre | post | mix`, `number or text`. */
  type: string;
  /** When the key has an effect, if it does not always have one. */
  condition?: Condition;
  /** Whether a different value can lead to a different result. */
  changesResult: boolean;
  /** Of a key that measures out work. */
  scaling?: Scaling;
}

interface JsonSchema {
  type?: string;
  enum?: readonly unknown[];
  const?: unknown;
  anyOf?: readonly JsonSchema[];
  items?: JsonSchema;
  default?: unknown;
  description?: string;
  properties?: Readonly<Record<string, JsonSchema>>;
  required?: readonly string[];
}

/** The keys of an object schema, in the order of their declaration. */
export function schemaKeys(schema: z.ZodType): SchemaKey[] {
  const { properties = {}, required = [] } = jsonSchema(schema);
  const shape = shapeOf(schema);
  return Object.entries(properties).map(([name, property]) => ({
    name,
    description: property.description ?? '',
    required: required.includes(name),
    ...(property.default === undefined ? {} : { default: property.default }),
    kind: kindOf(property),
    ...(property.enum ? { values: property.enum.map(String) } : {}),
    type: typeName(property),
    ...metaOf(own(shape, name)),
  }));
}

const jsonSchemas = new WeakMap<z.ZodType, JsonSchema>();
function metaOf(key: z.core.$ZodType | undefined): Pick<SchemaKey, 'condition' | 'changesResult' | 'scaling'> {
  const { condition, changesResult = true, scaling } = (key && z.globalRegistry.get(key)) ?? {};
  return { ...(condition ? { condition } : {}), changesResult, ...(scaling ? { scaling } : {}) };
}

/** The shape of an object schema, also if it is wrapped in preprocessing or transformations. */
function shapeOf(schema: z.core.$ZodType): Readonly<Record<string, z.core.$ZodType>> {
  if (schema instanceof z.ZodObject) return schema.shape;
  if (!(schema instanceof z.ZodPipe)) return {};
  return { ...shapeOf(schema.in), ...shapeOf(schema.out) };
}

/** JSON Schema (draft 2020-12) of the value as a user writes it, before defaults and transformations. */
export function jsonSchema(schema: z.ZodType): JsonSchema {
  const made =
    jsonSchemas.get(schema) ?? (z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
  jsonSchemas.set(schema, made);
  return made;
}

/** Names of the keys at a path inside an object schema; none if the path does not lead to an object. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let found: readonly JsonSchema[] = [jsonSchema(schema)];
  for (const step of path)
    found = found.flatMap((part) => childrenOf(part, step)).flatMap((child) => child.anyOf ?? [child]);
  return found.flatMap(({ properties }) => Object.keys(properties ?? {}));
}

function childrenOf(schema: JsonSchema, step: PropertyKey): JsonSchema[] {
  const child = typeof step === 'number' ? schema.items : own(schema.properties, String(step));
  return child ? [child] : [];
}

function kindOf({ type, anyOf }: JsonSchema): SchemaKey['kind'] {
  if (anyOf?.some((part) => part.type === 'array')) return 'list';
  if (type === 'boolean' || type === 'string') return type;
  if (type === 'number' || type === 'integer') return 'number';
  return type === 'array' ? 'list' : 'other';
}

function typeName({ type, anyOf, enum: values, const: only, items }: JsonSchema): string {
  if (values) return values.join(' | ');
  if (only !== undefined) return String(only);
  if (anyOf) return [...new Set(anyOf.map(typeName))].join(' or ');
  if (type === 'integer') return 'whole number';
  if (type === 'array') return `list of ${items ? typeName(items) : 'anything'}`;
  return { string: 'text', boolean: 'true | false' }[type ?? ''] ?? type ?? 'anything';
}

/** Lists the parameters of a job from their schema, for the reference page and for error messages. */
import { z } from 'zod';
import { JobParams } from './job-params';

/** A parameter as people see it; those of a group follow it. */
export interface Param {
  /** Keys from the top, joined by dots. */
  path: string;
  description: string;
  /** Human-readable type with its bounds: `integer, 1 to 96`. */
  type: string;
  /** Undefined without one. */
  default: unknown;
  isRequired: boolean;
  isGroup: boolean;
  /** The kinds of job that have it, as `tune` tells them apart. */
  kinds: readonly Kind[];
}

interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  const?: unknown;
  enum?: unknown[];
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
}

const kinds = ['none', 'full', 'lora'] as const;
export type Kind = (typeof kinds)[number];
let cache: readonly Param[] | undefined;

/** Returns every parameter of every kind of job, in the order of the schema. */
export function listParams(): readonly Param[] {
  cache ??= join(branches());
  return cache;
}

/** The parameters of each kind of job, as `tune` tells them apart. */
function branches(): { kind: Kind; params: Param[] }[] {
  const schema = z.toJSONSchema(JobParams, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  return kinds.map((kind) => {
    const branch = schema.oneOf?.find(({ properties }) => properties?.['tune']?.const === kind);
    return { kind, params: walk(branch ?? {}, '') };
  });
}

/** One list of all: what several kinds have is named once. */
function join(all: readonly { kind: Kind; params: Param[] }[]): Param[] {
  const paths = [...new Set(all.flatMap(({ params }) => params.map(({ path }) => path)))];
  return paths.flatMap((path) => {
    const having = all.flatMap(({ kind, params }) =>
      params.filter((p) => p.path === path).map((param) => ({ kind, param })),
    );
    const [first] = having;
    if (!first) return [];
    const of = [...new Set(having.map(({ kind }) => kind))];
    const type = [...new Set(having.map(({ param }) => param.type))].join(' | ');
    const isRequired = having.every(({ param }) => param.isRequired);
    return [{ ...first.param, type, isRequired, default: defaultsOf(having), kinds: of }];
  });
}

/** The default, or where kinds of jobs have different ones, each with its kind. */
function defaultsOf(having: readonly { kind: Kind; param: Param }[]): unknown {
  const [first] = having;
  const isOne = having.every(({ param }) => JSON.stringify(param.default) === JSON.stringify(first?.param.default));
  if (isOne) return first?.param.default;
  return new PerKind([...new Map(having.map(({ kind, param }) => [kind, param.default]))]);
}

/** Different defaults by kind of job. */
export class PerKind {
  constructor(readonly values: readonly (readonly [Kind, unknown])[]) {}
}

/** What a group is by default, its members are. */
function walk(schema: JsonSchema, prefix: string, whole = schema.default): Param[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
    const path = `${prefix}${key}`;
    const usual = member.default ?? (whole as Record<string, unknown> | undefined)?.[key];
    const param: Param = {
      path,
      description: member.description ?? '',
      type: typeName(member),
      default: usual,
      isRequired: usual === undefined && (schema.required?.includes(key) ?? false),
      isGroup: typeName(member).includes('group'),
      kinds: [],
    };
    return [param, ...walk(member, `${path}.`)];
  });
  return [...own, ...(schema.oneOf ?? []).flatMap((branch) => walk(branch, prefix, whole))];
}

function typeName(schema: JsonSchema): string {
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' | ');
  const some = schema.anyOf ?? schema.oneOf;
  if (some) return some.map(typeName).join(' | ');
  if (schema.type === 'array') return `list of ${schema.items ? typeName(schema.items) : 'anything'}`;
  if (schema.type === 'object') return 'group';
  return `${schema.type ?? 'anything'}${boundsOf(schema)}`;
}

function boundsOf({ type, minimum, maximum, exclusiveMinimum }: JsonSchema): string {
  if (type !== 'number' && type !== 'integer') return '';
  const least = exclusiveMinimum === undefined ? minimum : exclusiveMinimum;
  const from = exclusiveMinimum === undefined ? 'from' : 'above';
  if (least === undefined) return '';
  if (maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER) return `, ${from} ${least}`;
  return exclusiveMinimum === undefined ? `, ${least} to ${maximum}` : `, above ${least} up to ${maximum}`;
}

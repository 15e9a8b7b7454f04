import { z } from 'zod';
import { type Assignment, isRecord, parseAssignments, setAt } from '../config/assignments.ts';
import { suggestion } from '../config/suggest.ts';
import { type Place, validate } from '../config/validate.ts';
import { type Path, parseYamlFile } from '../config/yaml-file.ts';
import { type Problem, RequestError } from '../errors.ts';
import { publishedSchema } from '../runs/plan-file.ts';

const folderName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'a name of up to 100 letters, digits, dots, hyphens and underscores');
const keys = z.record(z.string(), z.unknown());

/** The keys of a pipeline's stage besides those of what it runs and those of the machine. */
export const stageSchema = z.looseObject({
  run: z.string().describe('what it runs: one of the stages below'),
  seed: z
    .int()
    .min(0)
    .optional()
    .describe('run it once, with this seed, whatever the seeds of the pipeline; what reads it shares the result'),
  sweep: z
    .unknown()
    .optional()
    .describe('values of keys that are tried in shorter runs, to choose from; its keys are below'),
});

export const pipelineSchema = z.strictObject({
  name: folderName.describe("name of the run's folder in checkpoints/"),
  description: z.string().optional().describe('one line that says what the pipeline does'),
  parameters: z
    .record(z.string(), z.string())
    .default({})
    .describe('values that a user gives with --set name=value: the name of each, and what it means'),
  withoutCompiler: z.string().optional().describe('pipeline to run instead if there is no C++ compiler'),
  seeds: z.array(z.int().min(0)).min(1).default([1]).describe('stages that use random numbers run once per seed'),
  variants: z
    .record(folderName, z.record(z.string(), keys))
    .default({})
    .describe('for each variant and stage, the keys that differ'),
  stages: z.record(folderName, stageSchema).describe('for each stage, what it runs and its keys'),
  published: z
    .array(publishedSchema)
    .default([])
    .describe('results of others in this setting; in the report as long as nothing of it was changed'),
});

/** The most runs of stages that a plan may have; more are certainly a mistake. */
const mostNodes = 10_000;

/** A pipeline as written, with parameters filled in and `--set` applied. */
export interface Pipeline extends z.infer<typeof pipelineSchema> {
  /** The file's name as the user gave it, for messages. */
  file: string;
  /** The share of its work to do: the factor for keys that determine the amount of work, such as `steps`. */
  scale?: number;
  /** Locates paths of the file, for problems and as the origin of values. */
  place: Place & { origin(path: Path): string };
}

/**
 * Parses a pipeline and applies the assignments of `--set`.
 * @throws RequestError with all problems in its structure, its parameters and the assignments
 */
export function parsePipeline(text: string, file: string, set: readonly string[] = []): Pipeline {
  const yaml = parseYamlFile(text, file);
  if (!isRecord(yaml.value)) throw new RequestError('this is not a pipeline: expected the keys name and stages', file);
  const { assignments, problems } = parseAssignments(set);
  const root = yaml.value;
  const declared = isRecord(root.parameters) ? root.parameters : {};
  const parameters = Object.keys(declared);
  const given = new Map<string, Assignment>();
  const assigned: Assignment[] = [];
  for (const assignment of assignments) {
    const [name = ''] = assignment.path;
    if (assignment.path.length === 1 && parameters.includes(name)) given.set(name, assignment);
    else {
      problems.push(...unknownPath(assignment, root, parameters));
      assigned.push(assignment);
    }
  }
  if (problems.length > 0) throw new RequestError(problems, file);

  for (const { path, value } of assigned) setAt(root, path, value);
  const isAssigned = (path: Path) => assigned.some((assignment) => startsWith(path, assignment.path));
  const place: Pipeline['place'] = {
    where: (path) => `${isAssigned(path) ? '--set ' : ''}${path.join('.')}`,
    line: (path) => (isAssigned(path) ? undefined : yaml.lineOf(path)),
    origin: (path) => (isAssigned(path) ? '--set' : `${file}:${yaml.lineOf(path) ?? 1}`),
  };
  const missing = new Map<string, Problem>();
  const filled = fillIn(root, [], given, { declared, parameters, place, missing }) as Record<string, unknown>;
  const validated = validate(
    pipelineSchema,
    { ...filled, ...(root.parameters ? { parameters: root.parameters } : {}) },
    place,
  );
  const all = [...validated.problems, ...missing.values()];
  if (all.length > 0 || !validated.value) throw new RequestError(all, file);
  const { stages, variants, seeds } = validated.value;
  const isChanged = assigned.some(({ path: [section] }) => section === 'stages' || section === 'variants');
  const published = isChanged ? [] : validated.value.published;
  const nodes = Object.keys(stages).length * Math.max(1, Object.keys(variants).length) * seeds.length;
  if (nodes <= mostNodes) return { ...validated.value, published, file, place };
  const message = `stages × variants × seeds are ${nodes.toLocaleString('en')}, and at most ${mostNodes.toLocaleString('en')} can be planned`;
  throw new RequestError({ message }, file);
}

/** A problem at a path of the pipeline's file. */
export function problemAt({ place }: Pipeline, path: Path, message: string, hint?: string): Problem {
  const line = place.line?.(path);
  return { where: place.where(path), message, ...(line === undefined ? {} : { line }), ...(hint ? { hint } : {}) };
}

/** `--set` may assign any key, but only in sections, stages and variants that the file has. */
function unknownPath({ path }: Assignment, root: Record<string, unknown>, parameters: readonly string[]): Problem[] {
  const [section = '', name] = path;
  const where = `--set ${path.join('.')}`;
  const sections = Object.keys(pipelineSchema.shape);
  if (!sections.includes(section)) {
    return [{ where, message: `unknown path \`${section}\``, hint: suggestion(section, [...parameters, ...sections]) }];
  }
  if (section !== 'stages' && section !== 'variants') return [];
  const names = isRecord(root[section]) ? Object.keys(root[section]) : [];
  if (name === undefined || names.includes(name)) return [];
  return [{ where, message: `the pipeline has no ${section.slice(0, -1)} \`${name}\``, hint: suggestion(name, names) }];
}

interface Filling {
  /** The meaning of each parameter, by name. */
  declared: Readonly<Record<string, unknown>>;
  parameters: readonly string[];
  place: Place;
  /** Problems by parameter, so that each is reported only once. */
  missing: Map<string, Problem>;
}

/** Fills in the parameters in strings; a string that consists only of `${name}` takes the type of the value. */
function fillIn(value: unknown, path: Path, given: ReadonlyMap<string, Assignment>, filling: Filling): unknown {
  if (Array.isArray(value)) return value.map((item, index) => fillIn(item, [...path, index], given, filling));
  if (isRecord(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [key, fillIn(child, [...path, key], given, filling)]),
    );
  }
  if (typeof value !== 'string' || path[0] === 'parameters') return value;
  const givenTo = (name: string) => {
    const assignment = given.get(name);
    if (!assignment && !filling.missing.has(name)) filling.missing.set(name, missingParameter(name, path, filling));
    return assignment;
  };
  const whole = /^\$\{([\w-]+)\}$/.exec(value);
  if (whole) return givenTo(whole[1]!)?.value ?? null;
  return value.replace(/\$\{([\w-]+)\}/g, (_, name: string) => givenTo(name)?.text ?? '');
}

function missingParameter(name: string, path: Path, { declared, parameters, place }: Filling): Problem {
  const line = place.line?.(path);
  const at = { where: place.where(path), ...(line === undefined ? {} : { line }) };
  if (!Object.hasOwn(declared, name)) {
    return {
      ...at,
      message: `\`\${${name}}\` is not declared under parameters`,
      hint: suggestion(name, parameters),
    };
  }
  return {
    ...at,
    message: `parameter \`${name}\` has no value`,
    hint: `give it with --set ${name}=… (${declared[name]})`,
  };
}

function startsWith(path: Path, prefix: Path): boolean {
  return prefix.length <= path.length && prefix.every((step, index) => String(path[index]) === step);
}

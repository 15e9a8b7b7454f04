import { type Problem, RequestError } from '../errors.ts';
import { own } from './own.ts';
import { type Path, yamlValue } from './yaml-file.ts';

/** One `--set path=value`. */
export interface Assignment {
  path: string[];
  /** The value as YAML reads it: `1e-4` a number, `[1, 2]` a list, `true` a boolean. */
  value: unknown;
  /** The value as it was typed. */
  text: string;
}

/** Parses `--set` arguments; those that are not assignments come back as problems. */
export function parseAssignments(texts: readonly string[]): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  for (const argument of texts) {
    const equals = argument.indexOf('=');
    const path = argument.slice(0, Math.max(equals, 0)).trim().split('.');
    if (equals < 1 || path.includes('')) {
      const hint = 'write it as path=value, such as --set stages.sft.steps=200';
      problems.push({ where: `--set ${argument}`, message: 'this is not an assignment', hint });
      continue;
    }
    if (path.includes('__proto__')) {
      problems.push({ where: `--set ${path.join('.')}`, message: 'the name `__proto__` cannot be used' });
      continue;
    }
    const text = argument.slice(equals + 1);
    try {
      assignments.push({ path, text, value: yamlValue(text, `--set ${path.join('.')}`) });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      problems.push(...error.problems.map(({ message }) => ({ where: `--set ${path.join('.')}`, message })));
    }
  }
  return { assignments, problems };
}

/** Sets the value at a path inside nested objects, in place, and creates the objects on the way. */
export function setAt(root: Record<string, unknown>, path: Path, value: unknown): void {
  let target = root;
  for (const step of path.slice(0, -1)) {
    const child = own(target, step);
    target[step] = isRecord(child) ? child : {};
    target = target[step] as Record<string, unknown>;
  }
  target[path.at(-1)!] = value;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

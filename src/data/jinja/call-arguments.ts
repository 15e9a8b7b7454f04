import { TemplateFault } from './fault.ts';
import { type CallArguments, Safe, typeName, Undefined, type Value } from './values.ts';

/** The values of parameters in their order, undefined for those not given. The first `required` must be given. */
export function bind(
  callee: string,
  { positional, named }: CallArguments,
  parameters: readonly string[],
  required = 0,
): (Value | undefined)[] {
  if (positional.length > parameters.length) {
    throw new TemplateFault(`${callee} takes ${parameters.length} arguments, and ${positional.length} are given`);
  }
  for (const name of named.keys()) {
    if (parameters.indexOf(name) < positional.length) {
      throw new TemplateFault(`${callee} has no argument ${JSON.stringify(name)}, or it is given twice`);
    }
  }
  const values = parameters.map((name, i) => (i < positional.length ? positional[i] : named.get(name)));
  const missing = parameters.slice(0, required).find((_, i) => values[i] === undefined);
  if (missing !== undefined) throw new TemplateFault(`${callee} needs the argument ${JSON.stringify(missing)}`);
  return values;
}

/** The text of an argument, whether marked as safe or not. @throws TemplateFault for other types */
export function textArgument(value: Value | undefined, callee: string): string {
  if (typeof value === 'string') return value;
  if (value instanceof Safe) return value.text;
  if (value instanceof Undefined) throw value.fault();
  throw new TemplateFault(`${callee} needs a text and not a ${typeName(value ?? null)}`);
}

/**
 * The value of an integer argument, limited to the safe integers of JavaScript.
 * @throws TemplateFault for other types
 */
export function wholeArgument(value: Value | undefined, callee: string): number {
  if (value instanceof Undefined) throw value.fault();
  if (typeof value === 'boolean') return Number(value);
  if (typeof value !== 'bigint')
    throw new TemplateFault(`${callee} needs a whole number and not a ${typeName(value ?? null)}`);
  if (value > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  return value < Number.MIN_SAFE_INTEGER ? Number.MIN_SAFE_INTEGER : Number(value);
}

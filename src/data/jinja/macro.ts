import type { Parameter, Statement } from './ast.ts';
import { TemplateFault, unsupported } from './fault.ts';
import { type CallArguments, Callable, Dict, Tuple, Undefined, type Value } from './values.ts';

/** Whether a name occurs in a part of a template. */
function mentions(part: unknown, name: string): boolean {
  if (Array.isArray(part)) return part.some((item) => mentions(item, name));
  if (typeof part !== 'object' || part === null) return false;
  if ('kind' in part && part.kind === 'name' && 'name' in part && part.name === name) return true;
  return Object.values(part).some((item) => mentions(item, name));
}

/**
 * A macro, or the body of a call block. `render` gets the values of the parameters, except those for which the default
 * applies.
 */
export function macro(
  name: string,
  { parameters, body }: { parameters: readonly Parameter[]; body: readonly Statement[] },
  render: (values: ReadonlyMap<string, Value>) => string,
): Callable {
  const uses = {
    varargs: mentions(body, 'varargs'),
    kwargs: mentions(body, 'kwargs'),
    caller: mentions(body, 'caller'),
  };
  const invoke = ({ positional, named }: CallArguments): Value => {
    const values = new Map<string, Value>();
    const others = new Map(named);
    for (const [i, { name: parameter, fallback }] of parameters.entries()) {
      const value = i < positional.length ? positional[i] : others.get(parameter);
      if (i < positional.length && others.has(parameter)) {
        throw new TemplateFault(`the macro ${name} gets ${JSON.stringify(parameter)} twice`);
      }
      others.delete(parameter);
      if (value !== undefined) values.set(parameter, value);
      else if (!fallback)
        values.set(parameter, new Undefined(`the macro ${name} is not given ${JSON.stringify(parameter)}`));
    }
    if (uses.caller) {
      if (!values.has('caller'))
        values.set('caller', others.get('caller') ?? new Undefined(`the macro ${name} has no caller`));
      others.delete('caller');
    }
    if (uses.kwargs) values.set('kwargs', new Dict(others));
    else if (others.size > 0)
      throw new TemplateFault(`the macro ${name} has no parameter ${JSON.stringify([...others.keys()][0])}`);
    if (uses.varargs) values.set('varargs', new Tuple(positional.slice(parameters.length)));
    else if (positional.length > parameters.length)
      throw new TemplateFault(`the macro ${name} takes ${parameters.length} arguments`);
    return render(values);
  };
  return new Callable(name, invoke, (attribute) => {
    if (attribute === 'name') return name;
    if (/^(arguments|catch_kwargs|catch_varargs|caller|explicit_caller)$/.test(attribute)) {
      throw unsupported(`the attribute .${attribute} of a macro`);
    }
    return undefined;
  });
}

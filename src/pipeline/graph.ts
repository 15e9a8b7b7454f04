import { own } from '../config/own.ts';

/** The names ordered so that each comes after its dependencies, or the cycle that makes that impossible. */
export function dependencyOrder(
  dependencies: Readonly<Record<string, readonly string[]>>,
): { order: string[]; cycle?: undefined } | { cycle: string[] } {
  const order: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];

  const visit = (name: string): string[] | undefined => {
    if (done.has(name)) return undefined;
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    path.push(name);
    for (const dependency of own(dependencies, name) ?? []) {
      const cycle = visit(dependency);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(name);
    order.push(name);
    return undefined;
  };

  for (const name of Object.keys(dependencies)) {
    const cycle = visit(name);
    if (cycle) return { cycle };
  }
  return { order };
}

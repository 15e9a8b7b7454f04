import type { Problem } from '../errors.ts';
import { isJsonObject } from './strict-json.ts';
import { plainLlamas } from './unsupported-keys.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * Where a rotary embedding is described: `rope_scaling` (transformers 4) and `rope_parameters` (5), which hold a base
 * too.
 */
const places = ['rope_scaling', 'rope_parameters'] as const;

/**
 * The base of the rotary embedding, from `rope_theta` and from inside `rope_scaling` and `rope_parameters`; undefined
 * where none of them says it. Refuses types of scaling, and places that contradict each other.
 */
export function ropeTheta(json: Json, problems: Problem[]): unknown {
  const thetas: [where: string, theta: unknown][] = [['rope_theta', json.rope_theta]];
  for (const place of places) {
    const rope = json[place];
    if (rope === undefined || rope === null) continue;
    if (!isJsonObject(rope)) problems.push({ where: place, message: `${JSON.stringify(rope)}; an object is needed` });
    else {
      checkType(place, rope, problems);
      thetas.push([`${place}.rope_theta`, rope.rope_theta]);
    }
  }
  const said = thetas.filter(([, theta]) => theta !== undefined && theta !== null);
  const [first, ...others] = said;
  for (const [where, theta] of others) {
    if (theta === first![1]) continue;
    problems.push({
      where: `${first![0]} and ${where}`,
      message: `contradict each other: ${JSON.stringify(first![1])} and ${JSON.stringify(theta)}`,
      hint: 'delete the wrong one',
    });
  }
  return first?.[1];
}

function checkType(place: string, rope: Json, problems: Problem[]): void {
  const { rope_type: type, type: oldType } = rope;
  const nested = Object.entries(rope).find(([, value]) => isJsonObject(value))?.[0];
  if (nested !== undefined) {
    problems.push({ where: `${place}.${nested}`, message: 'rotations that differ between layers are not supported' });
  }
  // transformers 4 takes `type`, 5 takes `rope_type`.
  if (type && oldType && type !== oldType) {
    const message = `contradict each other: ${JSON.stringify(type)} and ${JSON.stringify(oldType)}`;
    problems.push({ where: `${place}.rope_type and ${place}.type`, message, hint: 'delete the wrong one' });
    return;
  }
  const found = type ?? oldType ?? 'default';
  if (found === 'default') return;
  const hint =
    found === 'llama3'
      ? `Llama 3.1, 3.2 and 3.3 use it; ${plainLlamas}`
      : 'it extends the context beyond the length that the model was trained on: use the model it was made from';
  problems.push({
    where: place,
    message: `rope type ${JSON.stringify(found)} is not supported; only default is`,
    hint,
  });
}

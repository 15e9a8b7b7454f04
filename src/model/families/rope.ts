import { isRecord } from '../../config/assignments.ts';
import type { Problem } from '../../errors.ts';
import { plainLlamas } from './key-rules.ts';
import { agreed, type Json } from './values.ts';

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
    if (!isRecord(rope)) problems.push({ where: place, message: `${JSON.stringify(rope)}; an object is needed` });
    else {
      checkType(place, rope, problems);
      thetas.push([`${place}.rope_theta`, rope.rope_theta]);
    }
  }
  return agreed(thetas, problems);
}

function checkType(place: string, rope: Json, problems: Problem[]): void {
  const nested = Object.entries(rope).find(([, value]) => isRecord(value))?.[0];
  if (nested !== undefined) {
    problems.push({ where: `${place}.${nested}`, message: 'rotations that differ between layers are not supported' });
  }
  const before = problems.length;
  // transformers 4 takes `type`, 5 takes `rope_type`.
  const types = ['rope_type', 'type'].map((key) => [`${place}.${key}`, rope[key]] as const);
  const found = agreed(types, problems) ?? 'default';
  if (found === 'default' || problems.length > before) return;
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

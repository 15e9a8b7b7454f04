import type { Problem } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Json } from '../model/families/values.ts';
import { normKinds } from '../model/norm-kinds/index.ts';
import type { TensorStore } from './tensor-store.ts';

/**
 * What the norms of a model compute, which the tensors of the last one tell; nothing where it is the usual kind. What
 * config.json says of it, `norm_kind`, must not contradict them.
 */
export function normKindIn(
  { tensors }: Pick<TensorStore, 'tensors'>,
  { norm_kind: stated }: Json,
  problems: Problem[],
): Pick<ModelConfig, 'normKind'> {
  const names = new Set([...tensors.keys()].filter((name) => /^model\.norm\.\w+$/.test(name)));
  const [usual] = normKinds;
  const found =
    normKinds.find(({ parts }) => {
      const own = Object.values(parts('model.norm', 1));
      return own.length === names.size && own.every(({ name }) => names.has(name));
    }) ?? usual;
  if (stated !== undefined && stated !== found.name) {
    const message = `${JSON.stringify(stated)}, but the tensors of the last norm are those of ${found.name} (${found.title})`;
    problems.push({ where: 'norm_kind', message, hint: `there are ${normKinds.map(({ name }) => name).join(', ')}` });
  }
  return found === usual ? {} : { normKind: found.name };
}

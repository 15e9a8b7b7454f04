import { SettingProblem } from './placement.ts';

/**
 * How many layers, counted from the first, a file says to be Post-LN. `implied` is what the placement's name says by
 * itself.
 * @throws SettingProblem where that cannot be
 */
export function readPostLayers(
  name: string,
  { post_layers: said }: Readonly<Record<string, unknown>>,
  layers: number,
  implied?: number,
): number {
  const count = said ?? implied;
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > layers) {
    const found = JSON.stringify(said) ?? 'missing';
    throw new SettingProblem('post_layers', `${found}; a whole number from 0 to ${layers} (the layers) is needed`);
  }
  if (implied !== undefined && count !== implied) {
    const message = `${count} contradicts norm ${name}, which means ${implied} of ${layers} layers`;
    throw new SettingProblem('post_layers', message);
  }
  return count;
}

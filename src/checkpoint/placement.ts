import type { Problem } from '../errors.ts';
import type { ModelConfig, NormChoice } from '../model/config.ts';
import { describeNorm } from '../model/norm.ts';
import { unplacedParts } from '../model/parameters.ts';
import { placements } from '../model/placements/index.ts';
import { type Placement, SettingProblem, type Wiring } from '../model/placements/placement.ts';
import { foreignNames } from './foreign-names.ts';
import type { TensorStore } from './safetensors-reader.ts';

/** An architecture whose norm placement is not known yet. */
export type Unplaced = Omit<ModelConfig, 'norm'>;

/**
 * The placement that a config or a metadata block states: `norm`, its name, and its settings such as `post_layers`.
 * @returns undefined where neither is there, or where it cannot be: `problems` then says why
 */
export function statedPlacement(
  said: Readonly<Record<string, unknown>>,
  layers: number,
  problems: Problem[],
): NormChoice | undefined {
  if (said.norm === undefined && said.post_layers === undefined) return undefined;
  const placement = placements.find(({ name }) => name === said.norm);
  if (!placement) {
    const names = placements.map(({ name }) => name).join(', ');
    problems.push({ where: 'norm', message: `${JSON.stringify(said.norm)} is not one of ${names}` });
    return undefined;
  }
  try {
    return { name: placement.name, settings: placement.read(said, layers) };
  } catch (error) {
    if (!(error instanceof SettingProblem)) throw error;
    problems.push({ where: error.key, message: error.message });
    return undefined;
  }
}

/** The placement that config, metadata and tensor names agree on. */
export function agreedPlacement(
  stated: NormChoice | undefined,
  { tensors, metadata }: TensorStore,
  shape: Unplaced,
  notes: string[],
  problems: Problem[],
): NormChoice | undefined {
  const { layers } = shape;
  const names = [...tensors.keys()];
  const foreign = foreignNames(names) ?? otherLayers(names, layers);
  if (foreign) {
    problems.push(foreign);
    return undefined;
  }
  const numbers = [...metadata].map(([key, value]) => [key, key === 'norm' ? value : Number(value)]);
  const fromMetadata = statedPlacement(Object.fromEntries(numbers), layers, problems);
  const own = ownNames(names, shape);
  const fromNames = inferPlacement(own, shape, problems);
  if (!fromNames) return undefined;
  const words = describeNorm(fromNames, layers);
  for (const [source, claim] of [
    ['config.json', stated],
    ['the metadata of the weights', fromMetadata],
  ] as const) {
    if (!claim || hasNames(claim, own, shape)) continue;
    problems.push({
      where: 'norm placement',
      message: `${source} says ${describeNorm(claim, layers)}, but the tensor names are those of ${words}`,
      hint: 'the same tensor name means a different norm in Pre-LN and in Post-LN; correct `norm` and `post_layers`, or take the right weights',
    });
  }
  if (!stated && !fromMetadata && fromNames.name !== 'pre') {
    const others =
      fromNames.name === 'post' ? '; DeepNorm and OLMo 2 have the same names and compute something else' : '';
    notes.push(`norm placement: ${words}; inferred from the tensor names, the config does not say${others}`);
  }
  return stated ?? fromMetadata ?? fromNames;
}

/** What is wrong with weights that have other layers than the config says. */
function otherLayers(names: readonly string[], layers: number): Problem | undefined {
  const present = new Set<number>();
  for (const name of names) {
    const index = /^model\.layers\.(\d+)\./.exec(name)?.[1];
    if (index !== undefined) present.add(Number(index));
  }
  const missing = Array.from({ length: layers }, (_, index) => index).filter((index) => !present.has(index));
  const extra = [...present].filter((index) => index >= layers);
  if (missing.length === 0 && extra.length === 0) return undefined;
  const [word, those] = missing.length > 0 ? ['lack', missing] : ['also have', extra];
  const shown = `${those.slice(0, 3).join(', ')}${those.length > 3 ? ', …' : ''}`;
  return {
    where: 'num_hidden_layers',
    message: `${layers}, counted from 0, but the weights ${word} layer${those.length > 1 ? 's' : ''} ${shown}`,
    hint: 'correct config.json, or take the weights that belong to it',
  };
}

/** Of each layer, the names of what could be a placement's and is not there under every one, in one text. */
function ownNames(names: Iterable<string>, shape: Unplaced): string[] {
  const known = new Set([...wirings(shape).values()].flatMap(partNames));
  const notOwn = namesUnderEvery(shape);
  const own = Array.from({ length: shape.layers }, (): string[] => []);
  for (const full of names) {
    const [, layer, name] = /^model\.layers\.(\d+)\.(.*)$/.exec(full) ?? [];
    if (name === undefined || notOwn.has(name)) continue;
    const looksLikeOne = /^([a-z_]*layernorm|raw_scaling_factor_\w+|router)\b/.test(name);
    if (known.has(name) || looksLikeOne) own[Number(layer)]?.push(name);
  }
  return own.map(inOneText);
}

/** Names of the tensors of a layer that do not depend on the placement; layers of a family may differ in them. */
function namesUnderEvery(shape: Unplaced): Set<string> {
  const config = { ...shape, norm: { name: 'pre', settings: {} } };
  const layers = Array.from({ length: shape.layers }, (_, layer) => unplacedParts(config, layer));
  return new Set(layers.flat().map(({ name }) => name));
}

const inOneText = (names: readonly string[]): string => [...names].sort().join(' ');

function partNames({ parts }: Wiring): string[] {
  return [...Object.values(parts.attention), ...Object.values(parts.mlp)].map(({ name }) => name);
}

/** Every wiring that a listed placement gives to a layer, by its kind. */
function wirings(shape: Unplaced): Map<string, Wiring> {
  const found = new Map<string, Wiring>();
  const layers = Math.min(shape.layers, 4);
  for (const placement of placements) {
    for (const settings of placement.candidates(layers)) {
      for (let layer = 0; layer < layers; layer++) {
        const wiring = placement.wiring(layer, { ...shape, layers, norm: { name: placement.name, settings } });
        found.set(wiring.kind, wiring);
      }
    }
  }
  return found;
}

/** Are the tensors of every layer those of this placement? */
function hasNames({ name, settings }: NormChoice, own: readonly string[], shape: Unplaced): boolean {
  const placement = placements.find((candidate) => candidate.name === name)!;
  const config = { ...shape, norm: { name, settings } };
  const texts = new Map<string, string>();
  return own.every((text, layer) => {
    const wiring = placement.wiring(layer, config);
    if (!texts.has(wiring.kind)) texts.set(wiring.kind, inOneText(partNames(wiring)));
    return texts.get(wiring.kind) === text;
  });
}

/**
 * The listed placement that has exactly these tensors in each layer; of two that do, the one that the other names.
 * @returns undefined where there is none; `problems` then says which layers are at fault
 */
function inferPlacement(own: readonly string[], shape: Unplaced, problems: Problem[]): NormChoice | undefined {
  const fitting = placements.flatMap((placement): { placement: Placement; choice: NormChoice }[] => {
    for (const settings of placement.candidates(shape.layers)) {
      const choice = { name: placement.name, settings };
      if (hasNames(choice, own, shape)) return [{ placement, choice }];
    }
    return [];
  });
  const meant = fitting.find(
    ({ placement }) => !fitting.some((other) => other.placement.name === placement.ambiguousWith),
  );
  if (!meant) problems.push(unknownPlacement(own, shape));
  return meant?.choice;
}

const sandwich = [
  'input_layernorm',
  'post_attention_layernorm',
  'pre_feedforward_layernorm',
  'post_feedforward_layernorm',
];

function unknownPlacement(own: readonly string[], shape: Unplaced): Problem {
  const kinds = new Map([...wirings(shape).values()].map((wiring) => [inOneText(partNames(wiring)), wiring.kind]));
  const odd = own.findIndex((text) => !kinds.has(text));
  if (odd >= 0) {
    const present = own[odd]!.replaceAll('.weight', '').split(' ').filter(Boolean);
    const isSandwich = inOneText(present) === inOneText(sandwich);
    const layout = isSandwich ? 'Sandwich-LN, which is not supported' : 'those of no supported placement';
    return { where: `model.layers.${odd}`, message: `its norms (${present.join(', ') || 'none'}) are ${layout}` };
  }
  const order = own.map((text) => kinds.get(text)!);
  const turn = order.findIndex((kind, layer) => layer > 0 && kind !== order[layer - 1]);
  const back = order.findIndex((kind, layer) => layer > turn && kind !== order[turn]);
  const last = back < 0 ? turn : back;
  return {
    where: `model.layers.${last}`,
    message: `is ${order[last]} after the ${order[last - 1]} layer ${last - 1}; no supported placement has that order`,
  };
}

import type { Problem } from '../errors.ts';
import type { ModelConfig, NormChoice } from '../model/config.ts';
import { describeNorm, normParts, wiringParts } from '../model/norm.ts';
import { unplacedParts } from '../model/parameters.ts';
import { placements } from '../model/placements/index.ts';
import type { Placement, Wiring } from '../model/placements/placement.ts';
import { SettingProblem } from '../model/setting-problem.ts';
import { foreignNames } from './foreign-names.ts';
import type { TensorStore } from './tensor-store.ts';

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

/** What decides the placement beside the names of tensors. */
export interface PlacementClues {
  /** What config.json states. */
  stated: NormChoice | undefined;
  /** What a person says of a model whose files do not state it: a placement's name. */
  said?: string | undefined;
  /** Are the files those of a plain model of its family, which is Pre-LN where nothing else is stated? */
  isPlain: boolean;
  /** Is it an error where the files leave a choice? Else one is guessed. */
  certain?: boolean | undefined;
}

/** The placement that config, metadata and tensor names agree on; what is inferred or guessed is a note. */
export function agreedPlacement(
  clues: PlacementClues,
  { tensors, metadata }: Pick<TensorStore, 'tensors' | 'metadata'>,
  shape: Unplaced,
  notes: string[],
  problems: Problem[],
): NormChoice | undefined {
  const { layers } = shape;
  const { stated, said } = clues;
  const names = [...tensors.keys()];
  const foreign = foreignNames(names) ?? otherLayers(names, layers);
  if (foreign) {
    problems.push(foreign);
    return undefined;
  }
  const numbers = [...metadata].map(([key, value]) => [key, key === 'norm' ? value : Number(value)]);
  const fromMetadata = statedPlacement(Object.fromEntries(numbers), layers, problems);
  const own = ownNames(names, shape);
  const fitting = fittingChoices(own, shape);
  if (fitting.length === 0) {
    problems.push(unknownPlacement(own, shape));
    return undefined;
  }
  const wordsOf = (choice: NormChoice): string => describeNorm(choice, layers);
  const refuse = (message: string, hint: string): void => {
    problems.push({ where: 'norm placement', message, hint });
  };
  for (const [source, claim] of [
    ['config.json', stated],
    ['the metadata of the weights', fromMetadata],
  ] as const) {
    if (!claim || hasNames(claim, own, shape)) continue;
    refuse(
      `${source} says ${wordsOf(claim)}, but the tensor names are those of ${fitting.map(wordsOf).join(' or ')}`,
      'the same tensor name means a different norm in Pre-LN and in Post-LN; correct `norm` and `post_layers`, or take the right weights',
    );
  }
  if (stated && fromMetadata && wordsOf(stated) !== wordsOf(fromMetadata)) {
    refuse(
      `config.json says ${wordsOf(stated)}, but the metadata of the weights says ${wordsOf(fromMetadata)}`,
      'take the config.json that belongs to the weights',
    );
  }
  const known = stated ?? fromMetadata ?? fitting.find(({ name }) => name === said);
  if (said !== undefined && known?.name !== said) {
    const others = known ? `the files say ${known.name}` : `the tensors are those of ${listed(fitting, 'or')}`;
    refuse(`${said} was given, but ${others}`, 'leave it out, or give what the model was trained with');
  }
  return known ?? impliedPlacement(fitting, clues, layers, notes, problems);
}

/** What is meant where only the names of tensors tell: what alone has them, else the most usual that has. */
function impliedPlacement(
  fitting: readonly NormChoice[],
  { isPlain, certain }: PlacementClues,
  layers: number,
  notes: string[],
  problems: Problem[],
): NormChoice {
  const [first, ...others] = fitting as [NormChoice, ...NormChoice[]];
  const note = `norm placement: ${first.name} (${describeNorm(first, layers)})`;
  if (others.length === 0) notes.push(`${note}, from the tensor names`);
  else if (isPlain && first.name === 'pre') notes.push(`${note}, as in every model of this type that states none`);
  else if (certain) {
    problems.push({
      where: 'norm placement',
      message: `the files do not say whether it is ${listed(fitting, 'or')}, whose tensors have the same names`,
      hint: `say it once, and it is written down: mixtune export MODEL --norm ${fitting.map(({ name }) => name).join('|')} --dtype f32 --out NEW, and go on from NEW; or add "norm" to config.json`,
    });
  } else notes.push(`${note}, a guess: the tensors of ${listed(others, 'and')} have the same names`);
  return first;
}

function listed(choices: readonly NormChoice[], word: 'and' | 'or'): string {
  return choices.map(({ name }) => name).join(` ${word} `);
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

/** The names of what could be a placement's tensors and is not there under every one, sorted, in one text each. */
interface OwnNames {
  embedding: string;
  layers: readonly string[];
}

function ownNames(names: readonly string[], shape: Unplaced): OwnNames {
  const embeddingNorms = new Set(placements.flatMap((placement) => embeddingNames(placement, shape)));
  const known = new Set([...wirings(shape).values()].flatMap((wiring) => partNames(wiring, shape)));
  const notOwn = namesUnderEvery(shape);
  const layers = Array.from({ length: shape.layers }, (): string[] => []);
  for (const full of names) {
    const [, layer, name] = /^model\.layers\.(\d+)\.(.*)$/.exec(full) ?? [];
    if (name === undefined || notOwn.has(name)) continue;
    const looksLikeOne = /^([a-z_]*layernorm|raw_scaling_factor_\w+|router)\b/.test(name);
    if (known.has(name) || looksLikeOne) layers[Number(layer)]?.push(name);
  }
  return { embedding: inOneText(names.filter((name) => embeddingNorms.has(name))), layers: layers.map(inOneText) };
}

function embeddingNames({ embeddingNorm }: Placement, shape: Unplaced): string[] {
  return embeddingNorm ? normParts(shape, embeddingNorm, shape.hiddenSize).map(({ name }) => name) : [];
}

/** Names of the tensors of a layer that do not depend on the placement; layers of a family may differ in them. */
function namesUnderEvery(shape: Unplaced): Set<string> {
  const config = { ...shape, norm: { name: 'pre', settings: {} } };
  const layers = Array.from({ length: shape.layers }, (_, layer) => unplacedParts(config, layer));
  return new Set(layers.flat().map(({ name }) => name));
}

const inOneText = (names: readonly string[]): string => [...names].sort().join(' ');

function partNames(wiring: Wiring, shape: Unplaced): string[] {
  return wiringParts(wiring, shape).map(({ name }) => name);
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

/** Are the tensors of the embedding's norm and of every layer those of this placement? */
function hasNames({ name, settings }: NormChoice, own: OwnNames, shape: Unplaced): boolean {
  const placement = placements.find((candidate) => candidate.name === name)!;
  if (inOneText(embeddingNames(placement, shape)) !== own.embedding) return false;
  const config = { ...shape, norm: { name, settings } };
  const texts = new Map<string, string>();
  const fits = (layer: number): boolean => {
    const wiring = placement.wiring(layer, config);
    if (!texts.has(wiring.kind)) texts.set(wiring.kind, inOneText(partNames(wiring, shape)));
    return texts.get(wiring.kind) === own.layers[layer];
  };
  // Where all layers are the same, every way to mix two kinds fails at the first or the last, however many there are.
  return fits(own.layers.length - 1) && own.layers.every((_, layer) => fits(layer));
}

/** Of each listed placement that can have exactly these tensors, the settings with which it has. */
function fittingChoices(own: OwnNames, shape: Unplaced): NormChoice[] {
  return placements.flatMap(({ name, candidates }): NormChoice[] => {
    for (const settings of candidates(shape.layers)) {
      const choice = { name, settings };
      if (hasNames(choice, own, shape)) return [choice];
    }
    return [];
  });
}

function unknownPlacement(own: OwnNames, shape: Unplaced): Problem {
  const kinds = new Map<string, string>();
  for (const wiring of wirings(shape).values()) {
    const text = inOneText(partNames(wiring, shape));
    if (!kinds.has(text)) kinds.set(text, wiring.kind);
  }
  const odd = own.layers.findIndex((text) => !kinds.has(text));
  if (odd >= 0) {
    const present = own.layers[odd]!.replaceAll('.weight', '').split(' ').filter(Boolean).join(', ') || 'none';
    const ofHeads = /\.[qk]_norm\b/.test(present);
    return {
      where: `model.layers.${odd}`,
      message: `its norms (${present}) are those of no supported placement`,
      ...(ofHeads && {
        hint: 'norms of queries and keys, as in Qwen3, are supported where config.json states "qk_norm"',
      }),
    };
  }
  if (fittingChoices({ ...own, embedding: '' }, shape).length > 0) {
    return { where: own.embedding, message: 'no supported placement of these layers has a norm of the embedding' };
  }
  const order = own.layers.map((text) => kinds.get(text)!);
  const turn = order.findIndex((kind, layer) => layer > 0 && kind !== order[layer - 1]);
  const back = order.findIndex((kind, layer) => layer > turn && kind !== order[turn]);
  const last = back < 0 ? turn : back;
  return {
    where: `model.layers.${last}`,
    message: `is ${order[last]} after the ${order[last - 1]} layer ${last - 1}; no supported placement has that order`,
  };
}

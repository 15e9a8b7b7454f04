import type { Problem } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import { checkpointTensors } from '../model/parameters.ts';
import { isFloatDtype } from './dtype.ts';
import type { TensorStore } from './tensor-store.ts';

/** The most lines of one kind; a problem of many layers is a single line, so more would tell nothing new. */
const mostLines = 8;

/** Compares the tensors of a file with those that a config requires; each kind of fault is one line. */
export function checkTensors(config: ModelConfig, { tensors }: TensorStore, problems: Problem[]): void {
  const expected = new Map(checkpointTensors(config).map(({ name, shape }) => [name, shape]));
  const missing: Fault[] = [];
  const wrong: Fault[] = [];
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (!found) missing.push({ name, message: `is missing; [${shape}] is expected`, hint: missingHint(name) });
    else if (found.shape.join() !== shape.join())
      wrong.push({ name, message: `has shape [${found.shape}]; the config says [${shape}]` });
    else if (!isFloatDtype(found.dtype)) wrong.push({ name, message: `is ${found.dtype}; weights are floats` });
  }
  const unexpected = [...tensors.keys()].filter((name) => {
    const isKnown = expected.has(name) || name.endsWith('.rotary_emb.inv_freq');
    return !isKnown && !(name === 'lm_head.weight' && config.tieWordEmbeddings);
  });
  const message = 'is not a tensor of this architecture';
  const strangers = unexpected.map((name): Fault => ({ name, message, hint: unexpectedHint(name) }));
  problems.push(...folded([...missing, ...wrong, ...strangers]));
}

interface Fault {
  name: string;
  message: string;
  hint?: string | undefined;
}

/** One problem for each message and hint, with the names concerned; the same name in all layers is given once. */
function folded(faults: readonly Fault[]): Problem[] {
  const groups = new Map<string, Fault[]>();
  for (const fault of faults) {
    const key = `${fault.message}\n${fault.hint}`;
    groups.set(key, [...(groups.get(key) ?? []), fault]);
  }
  const lines = [...groups.values()].map((group): Problem => {
    const { message, hint } = group[0]!;
    return { where: nameList(group.map(({ name }) => name)), message, ...(hint === undefined ? {} : { hint }) };
  });
  const rest = lines.length - mostLines;
  return rest <= 0 ? lines : [...lines.slice(0, mostLines), { message: `and ${rest} more of this kind` }];
}

/** `model.layers.*.self_attn.q_proj.bias, … (72 tensors)` */
function nameList(names: readonly string[]): string {
  if (names.length === 1) return names[0]!;
  const patterns = [...new Set(names.map((name) => name.replace(/\blayers\.\d+\./, 'layers.*.')))];
  const shown = patterns.slice(0, 3).join(', ');
  return `${shown}${patterns.length > 3 ? ', …' : ''} (${names.length} tensors)`;
}

function missingHint(name: string): string | undefined {
  if (name === 'score.weight')
    return 'a reward model is useless without its head: a newly initialised one gives random scores';
  if (name !== 'lm_head.weight') return undefined;
  return 'if the head shares the embedding, config.json needs "tie_word_embeddings": true';
}

/** What an unexpected tensor suggests about the model. */
function unexpectedHint(name: string): string | undefined {
  if (/lora_[AB]|\.base_layer\./.test(name))
    return 'an adapter of PEFT: merge it with merge_and_unload() and save again';
  if (name.endsWith('.bias')) return 'biases as in Qwen2 are not supported';
  if (/\.experts?\.|block_sparse_moe/.test(name)) return 'mixtures of experts are not supported';
  if (/qweight|qzeros|scales|weight_scale|absmax|quant_/.test(name)) {
    return 'quantised weights are not supported: take the weights in f32, bf16 or f16';
  }
  return undefined;
}

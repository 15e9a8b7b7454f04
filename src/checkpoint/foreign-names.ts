import type { Problem } from '../errors.ts';

/** Parts that wrappers around a model leave in its names, and how to save the model inside. */
const wrappers: readonly { part: string; from: string; inner: string }[] = [
  { part: '_orig_mod.', from: 'torch.compile', inner: 'model._orig_mod.save_pretrained(…)' },
  { part: 'base_model.model.', from: 'PEFT', inner: 'model.merge_and_unload().save_pretrained(…)' },
  { part: '_fsdp_wrapped_module.', from: 'FullyShardedDataParallel', inner: 'trainer.save_model(…)' },
  {
    part: '_checkpoint_wrapped_module.',
    from: 'activation checkpointing',
    inner: 'save_pretrained(…) before wrapping',
  },
  { part: '_forward_module.', from: 'Lightning', inner: 'model._forward_module.save_pretrained(…)' },
  { part: 'module.', from: 'DistributedDataParallel or DeepSpeed', inner: 'model.module.save_pretrained(…)' },
  { part: 'pretrained_model.', from: "TRL's value heads", inner: 'model.pretrained_model.save_pretrained(…)' },
];

/** Tensor names used by code other than transformers' Llama. */
const otherCode: readonly { shows: RegExp; says: string; hint: string }[] = [
  {
    shows: /^(tok_embeddings|layers\.\d+\.(attention\.wq|feed_forward\.w1))\./,
    says: "are those of Meta's own code",
    hint: "take the model in the layout of transformers, or convert it with transformers' convert_llama_weights_to_hf.py",
  },
  {
    shows: /(^|\.)(language_model|text_model|llm)\./,
    says: 'are those of a model of several parts, such as images and text',
    hint: 'a language model alone is needed',
  },
  {
    shows: /^(transformer\.|gpt_neox\.|model\.decoder\.|bert\.|roberta\.|h\.\d)/,
    says: 'are those of another architecture',
    hint: 'a Llama-style model is needed',
  },
];

/**
 * The problem with tensor names of which few or none are those of a Llama, such as an extra or missing prefix. Only the
 * names are checked, so that this can be reported before any problem that follows from it.
 */
export function foreignNames(names: readonly string[]): Problem | undefined {
  for (const { part, from, inner } of wrappers) {
    const name = names.find((candidate) => candidate.startsWith(part) || candidate.includes(`.${part}`));
    if (name === undefined) continue;
    const isUnmerged = names.some((candidate) => /\.(lora_|base_layer\.)/.test(candidate));
    return {
      where: name,
      message: `${count(names, part)} names hold \`${part}\`, which ${from} adds`,
      hint: isUnmerged
        ? `save it merged: ${inner}`
        : `save the model inside, ${inner}; or ${renaming(`k.replace('${part}', '')`)}`,
    };
  }
  if (names.some((name) => /^model\.layers\.\d/.test(name))) return undefined;
  const doubled = names.find((name) => name.startsWith('model.model.'));
  if (doubled !== undefined) {
    return {
      where: doubled,
      message: 'names begin with `model.` twice',
      hint: renaming(`k.replace('model.model.', 'model.').replace('model.lm_head.', 'lm_head.')`),
    };
  }
  for (const { shows, says, hint } of otherCode) {
    const name = names.find((candidate) => shows.test(candidate));
    if (name !== undefined) return { where: name, message: `names of tensors ${says}`, hint };
  }
  const bare = names.find((name) => /^(layers\.\d|embed_tokens\.)/.test(name));
  if (bare === undefined) return undefined;
  const hasHead = names.some((name) => name === 'lm_head.weight' || name === 'score.weight');
  const head = hasHead ? '' : ' and there is no lm_head.weight';
  const tied = hasHead ? '' : '; without a head that is a whole model only where "tie_word_embeddings" is true';
  return {
    where: bare,
    message: `names lack \`model.\`${head}, as AutoModel saves a decoder`,
    hint: `${renaming(`k if k in ('lm_head.weight', 'score.weight') else 'model.' + k`)}${tied}`,
  };
}

function count(names: readonly string[], part: string): string {
  const holding = names.filter((name) => name.startsWith(part) || name.includes(`.${part}`)).length;
  return holding === names.length ? `all ${names.length}` : `${holding} of ${names.length}`;
}

/** Python code that renames the tensors. It writes a new file, because the old one is mapped into memory meanwhile. */
function renaming(expression: string): string {
  return `rename the tensors: python -c "import glob; from safetensors.torch import load_file, save_file; save_file({${expression}: v for f in glob.glob('model*.safetensors') for k, v in load_file(f).items()}, 'renamed.safetensors', metadata={'format': 'pt'})" && mv renamed.safetensors model.safetensors, in its folder`;
}

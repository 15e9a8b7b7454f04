import { type Problem, RequestError } from '../errors.ts';
import type { Component } from './components.ts';
import { gpt2Source } from './splitting.ts';
import type { TokenizerJson } from './tokenizer-json.ts';

/**
 * For some components, `@huggingface/tokenizers` gives other ids than the Rust tokenizers. Most of these are rewritten
 * here with components for which both agree; the rest are refused.
 * @throws RequestError that names the components for which ids would differ
 */
export function withEquivalents(json: TokenizerJson): TokenizerJson {
  const problems = [...modelProblems(json), ...stepsOf(json.pre_tokenizer).flatMap(stepProblems)];
  for (const step of stepsOf(json.normalizer)) {
    if (step.type !== 'BertNormalizer' || (step.clean_text && step.handle_chinese_chars)) continue;
    problems.push({ where: 'normalizer', message: 'BertNormalizer without clean_text or handle_chinese_chars' });
  }
  if (problems.length > 0) {
    throw new RequestError(
      problems.map(({ where, message }) => ({
        where: `tokenizer.json.${where}`,
        message: `${message} is not supported: token ids would differ from those of Hugging Face's tokenizers`,
        hint: 'use a model with another tokenizer',
      })),
    );
  }
  const { normalizer, pre_tokenizer: preTokenizer } = json;
  return {
    ...json,
    normalizer: normalizer && { type: 'Sequence', normalizers: stepsOf(normalizer).flatMap(likeNormalizer) },
    pre_tokenizer: preTokenizer && { type: 'Sequence', pretokenizers: stepsOf(preTokenizer).flatMap(likePreTokenizer) },
  };
}

function stepsOf(component: Component | null): Component[] {
  if (component?.type !== 'Sequence') return component ? [component] : [];
  return ((component.normalizers ?? component.pretokenizers) as Component[]).flatMap(stepsOf);
}

function modelProblems({ model, added_tokens: added }: TokenizerJson): Problem[] {
  const problems: Problem[] = [];
  const alone = added.find((token) => token.single_word);
  if (alone) problems.push({ where: 'added_tokens', message: `\`single_word\` of ${JSON.stringify(alone.content)}` });
  if (model.type !== 'BPE') return problems;
  for (const key of ['dropout', 'end_of_word_suffix', 'continuing_subword_prefix'] as const) {
    if (model[key]) problems.push({ where: 'model', message: `\`${key}\` ${JSON.stringify(model[key])}` });
  }
  return problems;
}

function stepProblems({ type, behavior, add_prefix_space: prefixes, pattern }: Component): Problem[] {
  const where = 'pre_tokenizer';
  const merges = behavior === 'MergedWithNext' || (behavior === 'MergedWithPrevious' && !('String' in Object(pattern)));
  if (type === 'FixedLength') return [{ where, message: type }];
  if (merges) return [{ where, message: `${type} with the behavior ${behavior}` }];
  if (type === 'ByteLevel' && prefixes !== false) return [{ where, message: '`add_prefix_space` of ByteLevel' }];
  return [];
}

const space = '\\p{White_Space}';
const punctuation = '[!-/:-@\\[-`{-~\\p{P}]';
const word = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';

const replace = (pattern: object, content: string): Component => ({ type: 'Replace', pattern, content });
const split = (regex: string, behavior = 'Isolated', invert = false): Component => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior,
  invert,
});

function likeNormalizer(step: Component): Component[] {
  // JavaScript lowercases a sigma at the end of a word to ς; Rust lowercases each character by itself.
  const sigma = replace({ String: 'Σ' }, 'σ');
  switch (step.type) {
    case 'Lowercase':
      return [sigma, step];
    case 'BertNormalizer':
      return step.lowercase === false ? [step] : [sigma, step];
    case 'Strip': {
      // Rust's white space is Unicode's: it includes U+0085 but not U+FEFF.
      const left = step.strip_left === false ? [] : [replace({ Regex: `\\A${space}+` }, '')];
      return step.strip_right === false ? left : [...left, replace({ Regex: `${space}+\\z` }, '')];
    }
    default:
      return [step];
  }
}

function likePreTokenizer(step: Component): Component[] {
  switch (step.type) {
    case 'ByteLevel':
      return step.use_regex === false ? [step] : [split(gpt2Source), { ...step, use_regex: false }];
    case 'Digits':
      return [split(step.individual_digits ? '\\p{N}' : '\\p{N}+')];
    case 'Punctuation':
      return likeSplit(split(punctuation, (step.behavior as string | undefined) ?? 'Isolated'));
    case 'Split':
      return likeSplit(step);
    case 'Whitespace':
      return [split(`[${word}]+|[^${word}${space}]+`, 'Removed', true)];
    case 'WhitespaceSplit':
      return [split(`${space}+`, 'Removed')];
    case 'BertPreTokenizer':
      return [split(`${space}+`, 'Removed'), split(punctuation)];
    default:
      return [step];
  }
}

/** `Contiguous` joins adjacent matches, which is the same as matching the repeated pattern. */
function likeSplit(step: Component): Component[] {
  const { Regex: regex, String: text } = step.pattern as { Regex?: string; String?: string };
  if (step.behavior !== 'Contiguous') return [step];
  const one = regex ?? text!.replace(/[$()*+./?[\\\]^{|}]/g, '\\$&');
  return [{ ...step, pattern: { Regex: `(?:${one})+` }, behavior: 'Isolated' }];
}

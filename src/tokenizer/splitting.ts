/**
 * Translates a regular expression that splits a text into words before byte-pair encoding to JavaScript. `\s` in Rust
 * is Unicode's White_Space (with U+0085, without U+FEFF), and Node 20 has no `(?i:…)`, so both are written out.
 */
function translate(pattern: string): RegExp {
  const source = pattern
    .replaceAll("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'(?:[sSſtTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])")
    .replaceAll('\\s', '\\p{White_Space}')
    .replaceAll('\\S', '\\P{White_Space}');
  return new RegExp(source, 'gu');
}

export const gpt2Source = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** The built-in pattern of Hugging Face's `ByteLevel`, from GPT-2. */
export const gpt2Split = translate(gpt2Source);

/** `Digits(individual_digits)` followed by `ByteLevel`, as in SmolLM2: GPT-2's pattern between single digits. */
export const digitsThenGpt2Split = translate(
  "\\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?![^\\s\\p{N}])|\\s+",
);

const cl100k = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** Known patterns of `Split` as they are written in tokenizer.json files: those of Llama 3, Qwen 2 and GPT-2. */
export const knownSplits: ReadonlyMap<string, RegExp> = new Map(
  [cl100k('\\p{N}{1,3}'), cl100k('\\p{N}'), gpt2Source].map((source) => [source, translate(source)]),
);

/** The words of a text; concatenated they are the text, because each of the patterns above matches it without gaps. */
export function splitWords(text: string, pattern: RegExp): readonly string[] {
  return text.match(pattern) ?? [];
}

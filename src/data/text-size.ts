import { space } from './jinja/space.ts';

const spaces = new RegExp(`[${space}]+`);

export interface TextSize {
  words: number;
  /** In UTF-8. */
  bytes: number;
}

/** Words and bytes of a text; words are what stands between spaces, as `re.split(r"\s+", text)` of Python counts it. */
export function textSize(text: string): TextSize {
  return { words: text.split(spaces).length, bytes: Buffer.byteLength(text) };
}

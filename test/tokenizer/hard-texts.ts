import { RandomStream } from '../../src/random.ts';

/** Texts on which tokenizers differ; the special tokens are those of the tokenizers that mixtune trains. */
export const hardTexts: readonly string[] = [
  '',
  ' ',
  'a',
  'Hello, world!',
  "I'll say it's what they'd've done, DON'T WE'RE 'ſ 'S",
  ' leading and trailing  ',
  'a  b   c    d\t\te\n\n\nf',
  'line\r\nline\r\n\r\nline\r',
  '    def f(x):\n        return x + 1\n\n\n',
  ' '.repeat(300),
  '\n'.repeat(40),
  `a${' '.repeat(77)}1${' '.repeat(3)}`,
  '1234567890 12 345 6,789.01 0x1F ½ ² ٣٤٥ Ⅷ 一二三',
  'a 1  2   3 b',
  'naïve café cafe\u0301 Ångström A\u030angstro\u0308m',
  'e\u0301\u0302\u0303 a\u0300\u0316 \u0301 alone',
  '🙂 👩‍👩‍👧 🇩🇪🇫🇷 👍🏽 ☺️ 𝒳𝓎 𐍈',
  '東京は日本の首都です。안녕하세요 नमस्ते Привет مرحبا שלום',
  '\u0085next line\u0085 \u00a0 nbsp \u2003 em \u3000 wide \u2028 ls \u2029 ps \u200b zw',
  '\ufeffbom in front, \ufeff inside \ufeff ',
  '\u0000\u0001\u007f\u0080\u00ad control',
  'ﬁ ﬂ Ⅳ ㎏ ½ ＡＢＣ ｶﾞ',
  'İstanbul ıI ẞ ß STRASSE Σίσυφος ΣΑΣ',
  '<|end|>',
  'a<|end|> <|user|>hi<|assistant|>\n<|end|><|end|>b <|nothing|> <|end',
  '<s>text</s> <unk> [CLS] [UNK] <0x41> ▁ ▁▁x',
  'x <tool> y<tool>z  <tool>  wort Antwort wort. wortlos (wort)',
  'x'.repeat(1000),
  'the quick brown fox '.repeat(50),
  '…—“”‘’!!!???...,,;;::--__@@##$$%%^^&&**(())[[]]{{}}\\\\//||~~``',
];

/** Seeded random strings over characters that are often handled wrongly. */
export function randomTexts(count: number, seed: number): string[] {
  const random = new RandomStream(seed, 'hard-texts');
  const characters = [
    ...' \n\t\r\u0085\u00a0\u3000\ufeffaAbBeEsStTlLmMdDrRvV019½²\u0301\u0300éß𝒳🙂東한한ि',
    ..."'''.,!?-_<|>▁()\"ſ",
    '  ',
    "'s",
    "'ll",
    '<|end|>',
    ' the',
    '123',
    'tivoth',
    ' bofalon',
  ];
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random.integer(24) }, () => random.pick(characters)).join(''),
  );
}

/** The colours of the report by name, for light and for dark; `c0` to `c7` are those of the variants. */
export const palettes = {
  light: {
    page: '#ffffff',
    text: '#1c2024',
    soft: '#5a636d',
    rule: '#dfe3e8',
    panel: '#f6f7f9',
    good: '#18794e',
    bad: '#b3261e',
    c0: '#1f6fd6',
    c1: '#d9540b',
    c2: '#148060',
    c3: '#9a3fb5',
    c4: '#a86b00',
    c5: '#c2255c',
    c6: '#0b7f91',
    c7: '#5c5f66',
  },
  dark: {
    page: '#14171a',
    text: '#e4e7ea',
    soft: '#9aa4ae',
    rule: '#30363c',
    panel: '#1c2024',
    good: '#4cc38a',
    bad: '#ff8f85',
    c0: '#6cb0ff',
    c1: '#ff9a52',
    c2: '#45c99c',
    c3: '#d28be8',
    c4: '#e0b040',
    c5: '#ff85ab',
    c6: '#4fc6d8',
    c7: '#a8adb4',
  },
} as const;

export const variantColours = 8;

/**
 * Lengths of line and gap for each variant, in pixels, so that lines differ where colours look alike or are not
 * printed; the first is solid.
 */
export const dashes: readonly (readonly number[])[] = [
  [],
  [8, 3],
  [2, 3],
  [10, 3, 2, 3],
  [5, 2],
  [12, 5],
  [2, 6],
  [6, 2, 2, 2, 2, 2],
];

/** The mark of measured points for each variant, by the same reasoning. */
export const symbols = ['circle', 'rect', 'triangle', 'diamond', 'emptyCircle', 'emptyRect', 'emptyTriangle', 'pin'];

/** Custom properties of a style sheet. */
export const customProperties = (palette: Readonly<Record<string, string>>): string =>
  Object.entries(palette)
    .map(([name, colour]) => `--${name}: ${colour};`)
    .join(' ');

/** Puts colours in the place of `var(--name)` and `var(--name, var(--other))`. */
export function withColours(svg: string, palette: Readonly<Record<string, string>>): string {
  return svg.replace(
    /var\(--(\w+)(?:, ?var\(--(\w+)\))?\)/g,
    (_, name, other) => palette[name] ?? palette[other] ?? name,
  );
}

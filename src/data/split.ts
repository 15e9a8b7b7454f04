export type Split = 'train' | 'test';

/** The rows of a split. The test split is the last fraction `holdOut` of the rows, at least one if it is above 0. */
export function splitRows<R>(rows: readonly R[], split: Split, holdOut: number): readonly R[] {
  const held = holdOut > 0 ? Math.max(1, Math.round(rows.length * holdOut)) : 0;
  const cut = rows.length - held;
  return split === 'train' ? rows.slice(0, cut) : rows.slice(cut);
}

/** The part of a text that belongs to a split. The test split is about the last fraction `holdOut` of the text. */
export function splitText(text: string, split: Split, holdOut: number): string {
  const cut = cutPosition(text, holdOut);
  return split === 'train' ? text.slice(0, cut) : text.slice(cut);
}

/**
 * Where the held-out part begins: after the nearest paragraph break, else line break, else space, provided that it is
 * less than half of the held-out length away from the exact position.
 */
function cutPosition(text: string, holdOut: number): number {
  const wanted = Math.round(text.length * (1 - holdOut));
  const reach = (text.length - wanted) / 2;
  for (const boundary of ['\n\n', '\n', ' ']) {
    const cuts = [text.lastIndexOf(boundary, wanted), text.indexOf(boundary, wanted)]
      .filter((place) => place >= 0)
      .map((place) => place + boundary.length)
      .filter((place) => Math.abs(place - wanted) < reach)
      .sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
    if (cuts[0] !== undefined) return cuts[0];
  }
  return splitsCharacter(text, wanted) ? wanted - 1 : wanted;
}

function splitsCharacter(text: string, position: number): boolean {
  const code = text.charCodeAt(position);
  return code >= 0xdc00 && code <= 0xdfff;
}

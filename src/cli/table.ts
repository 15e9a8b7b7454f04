import Table from 'cli-table3';
import { visibleLine } from '../visible.ts';

/** A plain table for terminals and files, without colours or lines. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const none = Object.fromEntries(
    [
      'top',
      'bottom',
      'left',
      'right',
      'mid',
      'middle',
      'top-mid',
      'bottom-mid',
      'left-mid',
      'mid-mid',
      'right-mid',
      'top-left',
      'top-right',
      'bottom-left',
      'bottom-right',
    ].map((name) => [name, '']),
  );
  const made = new Table({
    head: [...head],
    chars: { ...none, middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) made.push(row.map(visibleLine));
  return made
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean)
    .join('\n');
}

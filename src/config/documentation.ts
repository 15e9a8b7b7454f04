import type { Presets } from './presets.ts';
import type { SchemaKey } from './schema-keys.ts';

/** A Markdown table of keys: name, type, default, meaning. */
export function keysTable(keys: readonly SchemaKey[]): string {
  const rows = keys.map((key) =>
    [`\`${key.name}\``, key.type, defaultCell(key), meaningOf(key)].map(escaped).join(' | '),
  );
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows.map((row) => `| ${row} |`)].join('\n');
}

/** A Markdown table of presets: a row for each key, a column for each preset. */
export function presetsTable(presets: Presets): string {
  const names = Object.keys(presets);
  const keys = [...new Set(names.flatMap((name) => Object.keys(presets[name]!)))];
  const rows = keys.map((key) => [`\`${key}\``, ...names.map((name) => String(presets[name]![key] ?? ''))]);
  const head = ['preset', ...names.map((name) => `\`${name}\``)];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escaped).join(' | ')} |`).join('\n');
}

/** What a key is for, and when it has an effect. */
export function meaningOf({ description, condition }: SchemaKey): string {
  return condition ? `${description} (only ${condition.text})` : description;
}

function defaultCell(key: SchemaKey): string {
  if (key.required) return '**required**';
  return key.default === undefined ? '' : `\`${JSON.stringify(key.default)}\``;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

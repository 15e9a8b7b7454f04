import type { SchemaKey } from './schema-keys.ts';

/** A Markdown table of keys: name, type, default, meaning. */
export function keysTable(keys: readonly SchemaKey[]): string {
  const rows = keys.map((key) =>
    [`\`${key.name}\``, key.type, defaultCell(key), key.description].map(escaped).join(' | '),
  );
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows.map((row) => `| ${row} |`)].join('\n');
}

function defaultCell(key: SchemaKey): string {
  if (key.required) return '**required**';
  return key.default === undefined ? '' : `\`${JSON.stringify(key.default)}\``;
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

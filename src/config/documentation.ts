import type { Presets } from './presets.ts';
import type { SchemaKey } from './schema-keys.ts';

/** A Markdown table of keys: name, type, default, meaning. */
export function keysTable(keys: readonly SchemaKey[]): string {
  const rows = keys.map((key) =>
    [`\`${key.name}\``, key.type, defaultCell(key), meaningOf(key)].map(escaped).join(' | '),
  );
  return ['| key | type | default | meaning |', '|---|---|---|---|', ...rows.map((row) => `| ${row} |`)].join('\n');
}

/** A Markdown table of what the values of a key stand for: a row for each value, or for each key that they give. */
export function presetsTable(key: string, presets: Presets): string {
  const names = Object.keys(presets);
  const keys = [...new Set(names.flatMap((name) => Object.keys(presets[name]!)))];
  const code = (text: string): string => `\`${text}\``;
  const cell = (name: string, key: string): string => String(presets[name]![key] ?? '');
  const rows =
    names.length > keys.length
      ? [[key, ...keys.map(code)], ...names.map((name) => [code(name), ...keys.map((key) => cell(name, key))])]
      : [[key, ...names.map(code)], ...keys.map((key) => [code(key), ...names.map((name) => cell(name, key))])];
  return [rows[0]!, rows[0]!.map(() => '---'), ...rows.slice(1)]
    .map((cells) => `| ${cells.map(escaped).join(' | ')} |`)
    .join('\n');
}

/** The description of a key, with the condition under which it has an effect. */
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

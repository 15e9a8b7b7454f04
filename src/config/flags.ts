import { Option } from 'commander';
import { meaningOf } from './documentation.ts';
import type { Origins } from './resolved.ts';
import type { SchemaKey } from './schema-keys.ts';
import { yamlValue } from './yaml-file.ts';

/** `learningRate` → `learning-rate`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * Command-line options of a key: a value, a list of values, or `--key` with `--no-key`. Required keys are left to the
 * schema.
 */
export function flagsOf(key: SchemaKey): Option[] {
  const name = flagName(key.name);
  const help = [inFlags(meaningOf(key), key.condition?.keys ?? []), defaultText(key)].filter(Boolean).join(' ');
  if (key.kind === 'boolean') {
    return [new Option(`--${name}`, help), new Option(`--no-${name}`).hideHelp()];
  }
  const value = key.kind === 'list' ? `<${key.name}...>` : `<${placeholder(key)}>`;
  return [new Option(`--${name} ${value}`, help).argParser((text, previous) => flagValue(key, text, previous))];
}

/**
 * A text with its keys as flags: `onTooLong: drop` as --on-too-long drop, maxLength as --max-length. Without backticks,
 * only names in camel case are keys for certain.
 */
export function inFlags(text: string, keys: readonly string[]): string {
  return text.replace(
    /`(\w+)(?:: ([^`]+))?`|(?<![\w./-])([a-z]+[A-Z]\w*)(?![\w./-]*[/.]\w)/g,
    (written, quoted: string | undefined, value: string | undefined, bare: string | undefined) => {
      if (bare !== undefined) return keys.includes(bare) ? `--${flagName(bare)}` : written;
      if (!keys.includes(quoted!)) return written;
      return `--${flagName(quoted!)}${value === undefined ? '' : ` ${value}`}`;
    },
  );
}

/** Accepts `--learningRate` for `--learning-rate`, as the key is spelt in YAML. */
export function withKebabFlags(argv: readonly string[]): string[] {
  return argv.map((argument) =>
    argument.replace(/^--[a-z]+[A-Z][A-Za-z]*(?==|$)/, (flag) => `--${flagName(flag.slice(2))}`),
  );
}

/** Origins of values that were given as flags. */
export function flagOrigins(values: Readonly<Record<string, unknown>>): Origins {
  return Object.fromEntries(Object.keys(values).map((key) => [key, `--${flagName(key)}`]));
}

function flagValue(key: SchemaKey, text: string, previous: unknown): unknown {
  const value =
    key.kind === 'string' ? text : key.kind === 'list' ? listItem(text) : yamlValue(text, `--${flagName(key.name)}`);
  if (key.kind !== 'list') return value;
  return Array.isArray(previous) ? [...previous, value] : [value];
}

/** Items of a list are names and paths much more often than numbers, so only plain numbers are read as such. */
function listItem(text: string): string | number {
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function placeholder(key: SchemaKey): string {
  if (key.values) return key.values.join('|');
  return key.kind === 'number' ? 'number' : key.kind === 'string' ? 'text' : 'value';
}

function defaultText(key: SchemaKey): string {
  if (key.required) return '(required)';
  if (key.default === undefined || key.default === null) return '';
  return `(default: ${Array.isArray(key.default) ? key.default.join(' ') || 'none' : String(key.default)})`;
}

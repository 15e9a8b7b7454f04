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
 * The command-line options of a key: one with a value, one with a list of values, or the pair `--key` and `--no-key`.
 * None is mandatory for commander; the schema checks required keys.
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
 * Rewrites the keys in a text as flags: `onTooLong: drop` becomes --on-too-long drop, maxLength becomes --max-length.
 * Without backticks only names in camel case are rewritten, because other words may not be keys.
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

/** Rewrites flags that are spelt like the key in YAML: `--learningRate` becomes `--learning-rate`. */
export function withKebabFlags(argv: readonly string[]): string[] {
  return argv.map((argument) =>
    argument.replace(/^--[a-z]+[A-Z][A-Za-z]*(?==|$)/, (flag) => `--${flagName(flag.slice(2))}`),
  );
}

/** The origins of values that were given as flags, by key. */
export function flagOrigins(values: Readonly<Record<string, unknown>>): Origins {
  return Object.fromEntries(Object.keys(values).map((key) => [key, `--${flagName(key)}`]));
}

function flagValue(key: SchemaKey, text: string, previous: unknown): unknown {
  const value =
    key.kind === 'string' ? text : key.kind === 'list' ? listItem(text) : yamlValue(text, `--${flagName(key.name)}`);
  if (key.kind !== 'list') return value;
  return Array.isArray(previous) ? [...previous, value] : [value];
}

/** Items of a list are names and paths far more often than numbers, so only plain numbers are parsed as numbers. */
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

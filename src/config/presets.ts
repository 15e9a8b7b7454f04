import { z } from 'zod';
import { own } from './own.ts';

/** Presets by name: the values that a known implementation or paper uses for some of the keys. */
export type Presets<Key extends string = string> = Readonly<Record<string, Readonly<Partial<Record<Key, unknown>>>>>;

/** Adds a key `preset` to an object schema; the values of the chosen preset replace the defaults of keys not given. */
export function withPresets<Shape extends z.ZodRawShape>(shape: Shape, presets: Presets<keyof Shape & string>) {
  const preset = z
    .enum(Object.keys(presets))
    .optional()
    .describe('use the defaults of a known implementation or paper for keys that are not given');
  const schema = z.strictObject({ preset, ...shape });
  return z.preprocess((written) => ({ ...Object(written), ...presetValues(presets, written) }), schema);
}

/** The values of the preset named in `written`, for keys that `written` itself does not set. */
export function presetValues(presets: Presets | undefined, written: unknown): Readonly<Record<string, unknown>> {
  const keys: Readonly<Record<string, unknown>> = Object(written);
  const name = keys.preset;
  const values = (typeof name === 'string' && own(presets, name)) || {};
  return Object.fromEntries(Object.entries(values).filter(([key]) => keys[key] === undefined));
}

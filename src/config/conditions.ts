declare module 'zod' {
  interface GlobalMeta {
    /** Of a key that can be given in vain: when it has an effect. */
    condition?: Condition | undefined;
    /** False for a key that decides what is said and kept meanwhile, or how it is computed, and not what comes out. */
    changesResult?: false;
  }
}

type Keys = Readonly<Record<string, unknown>>;

/** What only the data can tell. */
export interface Facts {
  /** Whether any of the stage's rows are held out. */
  heldOut: boolean;
}

/** When a key has an effect: what decides whether it is refused, and what help and documentation say of it. */
export interface Condition {
  /** Keys that it depends on. */
  keys: readonly string[];
  /** After "only": `with klTarget`. */
  text: string;
  holds(config: Keys, facts: Facts): boolean;
  /** After "has no effect", where it does not hold: `without klTarget`. */
  otherwise(config: Keys): string;
  /** What would make it hold: `set klTarget too`. */
  remedy: string;
}

export const given = (key: string): Condition => ({
  keys: [key],
  text: `with \`${key}\``,
  holds: (config) => config[key] !== undefined,
  otherwise: () => `without \`${key}\``,
  remedy: `set \`${key}\` too`,
});

export const absent = (key: string): Condition => ({
  keys: [key],
  text: `without \`${key}\``,
  holds: (config) => config[key] === undefined,
  otherwise: () => `with \`${key}\``,
  remedy: `leave \`${key}\` out`,
});

export const oneOf = (key: string, ...values: readonly string[]): Condition => ({
  keys: [key],
  text: `with \`${key}\` ${values.join(', ')}`,
  holds: (config) => values.includes(String(config[key])),
  otherwise: (config) => `with the ${key} ${config[key]}`,
  remedy: `set \`${key}\` to ${values.join(', ')}`,
});

export const aboveZero = (key: string): Condition => ({
  keys: [key],
  text: `with \`${key}\` above 0`,
  holds: (config) => config[key] !== 0,
  otherwise: () => `with \`${key}\` 0`,
  remedy: `set \`${key}\` above 0`,
});

export const heldOutRows: Condition = {
  keys: [],
  text: 'with held-out rows',
  holds: (_config, { heldOut }) => heldOut,
  otherwise: () => 'because nothing of `data` is held out',
  remedy: 'set `holdOut`, such as 0.05',
};

/** One of them, at least. */
export function either(first: Condition, second: Condition): Condition {
  return {
    keys: [...first.keys, ...second.keys],
    text: `${first.text} or ${second.text}`,
    holds: (config, facts) => first.holds(config, facts) || second.holds(config, facts),
    otherwise: (config) => `${first.otherwise(config)} and ${second.otherwise(config)}`,
    remedy: `${first.remedy}, or ${second.remedy}`,
  };
}

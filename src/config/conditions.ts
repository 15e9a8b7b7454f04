declare module 'zod' {
  interface GlobalMeta {
    /** When the key has an effect, if it does not always have one. */
    condition?: Condition | undefined;
    /** False for a key that only affects how the result is computed, or what is logged and saved along the way. */
    changesResult?: false;
  }
}

type Keys = Readonly<Record<string, unknown>>;

/** Facts that are only known once the data has been opened. */
export interface Facts {
  /** Whether any of the stage's rows are held out. */
  heldOut: boolean;
}

/** When a key has an effect. A key given in vain is refused; help and documentation state the condition. */
export interface Condition {
  /** Keys that the condition depends on. */
  keys: readonly string[];
  /** Completes "only …": `with klTarget`. */
  text: string;
  holds(config: Keys, facts: Facts): boolean;
  /** Completes "has no effect …" if the condition does not hold: `without klTarget`. */
  otherwise(config: Keys): string;
  /** How to make the condition hold: `set klTarget too`. */
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
  otherwise: () => 'because no rows of `data` are held out',
  remedy: 'set `holdOut`, such as 0.05',
};

/** Holds if at least one of the two conditions holds. */
export function either(first: Condition, second: Condition): Condition {
  return {
    keys: [...first.keys, ...second.keys],
    text: `${first.text} or ${second.text}`,
    holds: (config, facts) => first.holds(config, facts) || second.holds(config, facts),
    otherwise: (config) => `${first.otherwise(config)} and ${second.otherwise(config)}`,
    remedy: `${first.remedy}, or ${second.remedy}`,
  };
}

import type { Budget } from './budget.ts';
import type { CallArguments, Value } from './values.ts';

/** Computes `value | name(given)`. */
export type Filter = (value: Value, given: CallArguments, budget: Budget) => Value;

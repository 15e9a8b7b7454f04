import type { Budget } from './budget.ts';
import type { CallArguments, Value } from './values.ts';

/** A method of a value of type T. */
export type Method<T> = (self: T, given: CallArguments, budget: Budget) => Value;

import type { Budget } from './budget.ts';
import type { CallArguments, Value } from './values.ts';

/** What `value | name(given)` gives. */
export type Filter = (value: Value, given: CallArguments, budget: Budget) => Value;

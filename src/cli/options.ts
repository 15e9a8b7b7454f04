import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';

/** Reads a whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`expected a whole number of at least ${least}`);
  };
}

export function threadsOption(): Option {
  return new Option('--threads <number>', 'threads that compute')
    .argParser(wholeNumber(1))
    .default(availableParallelism());
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON document on standard output').default(false);
}

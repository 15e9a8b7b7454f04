import { availableParallelism } from 'node:os';
import { InvalidArgumentError, Option } from 'commander';

/** Returns a parser for whole numbers of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`expected a whole number of at least ${least}`);
  };
}

export function threadsOption(): Option {
  return new Option('--threads <number>', 'number of compute threads')
    .argParser(wholeNumber(1))
    .default(availableParallelism());
}

/** The option `--set`, which can be repeated and also takes several values at once. */
export function setOption(): Option {
  return new Option('--set <path=value...>', 'set a parameter or any key, such as stages.sft.lr=1e-4')
    .argParser((value, previous: string[]) => [...previous, value])
    .default([]);
}

export function scaleOption(): Option {
  const meaning = 'do this share of the work: multiply steps, passes over data, and what is counted in steps';
  return new Option('--scale <number>', meaning).argParser(positive);
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON document on standard output').default(false);
}

/** Parses a number of at least 0. */
export function temperature(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new InvalidArgumentError('expected a number of at least 0');
}

/** Parses a number above 0 and up to 1. */
export function share(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 1) return value;
  throw new InvalidArgumentError('expected a number above 0 and up to 1');
}

/** Parses a number from 0 to 1. */
export function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('expected a number from 0 to 1');
}

/** Parses a number above 0. */
export function positive(text: string): number {
  const value = Number(text);
  if (value > 0 && value < Number.POSITIVE_INFINITY) return value;
  throw new InvalidArgumentError('expected a number above 0');
}

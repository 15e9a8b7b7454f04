import { visible } from '../visible.ts';

/** Writes a line for the user to standard error, with control characters escaped. */
export function tell(line: string): void {
  process.stderr.write(`${visible(line)}\n`);
}

/** Writes a result to standard output, as JSON for programs or as text, with control characters escaped. */
export function print(content: unknown, json: boolean): void {
  process.stdout.write(`${visible(json ? JSON.stringify(content, null, 2) : String(content))}\n`);
}

/** Writes a part of a text to a terminal, without a line feed, with control characters escaped. */
export function printPart(text: string): void {
  process.stdout.write(visible(text));
}

/** Writes a text that is itself the result: unchanged, or with control characters escaped if written to a terminal. */
export function printText(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? visible(text) : text}\n`);
}

import { visible } from '../visible.ts';

/** Writes one line for people on standard error; a terminal obeys nothing in it. */
export function tell(line: string): void {
  process.stderr.write(`${visible(line)}\n`);
}

/** Writes a result on standard output, as JSON where it is to be read by a program; a terminal obeys nothing in it. */
export function print(content: unknown, json: boolean): void {
  process.stdout.write(`${visible(json ? JSON.stringify(content, null, 2) : String(content))}\n`);
}

/** Writes a part of a text on a terminal, which obeys nothing in it and stays on the line. */
export function printPart(text: string): void {
  process.stdout.write(visible(text));
}

/** Writes text that is a result itself: as it is, but for a terminal, which obeys nothing in it. */
export function printText(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? visible(text) : text}\n`);
}

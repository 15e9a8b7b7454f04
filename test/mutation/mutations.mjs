import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

/** A single change of a source file that the tests near it must notice. */
const schema = z.strictObject({
  what: z.string().describe('what is wrong then, in words'),
  file: z.string(),
  from: z.string().describe('text that stands in the file once, or after which line it is meant with `after`'),
  to: z.string(),
  after: z.string().optional().describe('text before it in the file, where `from` stands there more than once'),
  tests: z.union([z.string(), z.array(z.string())]).transform((tests) => [tests].flat()),
  name: z.string().optional().describe('regular expression of the tests in these files that are enough'),
  unchanged: z.string().optional().describe('why no test can notice it: it changes nothing that can be seen'),
});

/** All mutations of the tables in `folder`, with the name of their table. @throws Error where a table is not valid */
export function readMutations(folder) {
  return readdirSync(folder)
    .sort()
    .flatMap((table) => {
      const parsed = z.array(schema).safeParse(parse(readFileSync(join(folder, table), 'utf8')));
      if (!parsed.success) throw new Error(`${table}: ${z.prettifyError(parsed.error)}`);
      return parsed.data.map((mutation) => ({ area: table.replace('.yaml', ''), ...mutation }));
    });
}

/** The mutated source. @throws Error where the text does not occur, or more than once */
export function mutated(source, { file, from, to, after }) {
  const start = after === undefined ? 0 : placeOf(source, after, file) + after.length;
  const place = after === undefined ? placeOf(source, from, file) : source.indexOf(from, start);
  if (place < 0) throw new Error(`${file} has no ${JSON.stringify(from)} after ${JSON.stringify(after)}`);
  return source.slice(0, place) + to + source.slice(place + from.length);
}

function placeOf(source, text, file) {
  const place = source.indexOf(text);
  if (place < 0) throw new Error(`${file} has no ${JSON.stringify(text)} any more`);
  if (source.indexOf(text, place + 1) >= 0) throw new Error(`${file} has ${JSON.stringify(text)} more than once`);
  return place;
}

/** What a result holds for: the mutation, the file it changes and the tests that ran. */
export function keyOf({ file, from, to, after, tests, name }, contentOf) {
  const hash = createHash('sha256').update(JSON.stringify({ file, from, to, after, tests, name }));
  for (const path of [file, ...tests]) hash.update(`\0${path}\0`).update(contentOf(path));
  return hash.digest('hex').slice(0, 24);
}

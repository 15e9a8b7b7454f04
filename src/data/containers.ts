import { existsSync } from 'node:fs';
import { basename, extname, relative } from 'node:path';
import type { Problem } from '../errors.ts';
import { type BinaryFormat, binaryFormatOf, encodingProblem } from '../files.ts';

type Container = BinaryFormat | 'CSV' | 'TSV';

/** Returns the shell command that converts a file to rows, from the quoted names of its input and output. */
type Conversion = (file: string, rows: string) => string;

const python =
  (code: string): Conversion =>
  (file, rows) =>
    `python3 -c "${code}" ${file} ${rows}`;

const pandas = (reader: string): Conversion =>
  python(
    `import sys, pandas; pandas.${reader}(sys.argv[1]).to_json(sys.argv[2], orient='records', lines=True, force_ascii=False)`,
  );

const csv = (delimiter: string): Conversion =>
  python(
    `import csv, json, sys; rows = csv.DictReader(open(sys.argv[1], newline='', encoding='utf-8-sig'), delimiter='${delimiter}'); open(sys.argv[2], 'w').writelines(json.dumps(row) + '\\n' for row in rows)`,
  );

const decompress =
  (program: string): Conversion =>
  (file, rows) =>
    `${program} < ${file} > ${rows}`;

const conversions: Partial<Record<Container, Conversion>> = {
  'a gzip archive': decompress('gzip -dc'),
  'a zstd archive': decompress('zstd -dc'),
  'a bzip2 archive': decompress('bzip2 -dc'),
  'an xz archive': decompress('xz -dc'),
  'a zip archive': (file) => `unzip ${file}`,
  'a Parquet file': pandas('read_parquet'),
  'an Arrow file': pandas('read_feather'),
  'an Arrow stream': python(
    'import sys, datasets; datasets.Dataset.from_file(sys.argv[1]).to_json(sys.argv[2], force_ascii=False)',
  ),
  CSV: csv(','),
  TSV: csv('\\t'),
};

/** Extensions of data that is not read but reported if it is found next to files that are. */
export const containerExtensions: readonly string[] =
  '.parquet .arrow .feather .csv .tsv .gz .bz2 .xz .zst .zip .7z .pkl .pickle .xlsx .db'.split(' ');

/** A problem if the first bytes and the name of a file show that it is of a known kind other than JSON. */
export function containerProblem(head: Buffer, file: string): Problem | undefined {
  const where = basename(file);
  const container = binaryFormatOf(head);
  if (container) return problemOf(where, `is ${container}, not JSON`, conversion(container, file));
  const otherwise = encodingProblem(head, where);
  if (otherwise) return otherwise;
  const text = textOf(head);
  if (isJson(text)) return undefined;
  if (text.startsWith('version https://git-lfs')) {
    const message = 'is a Git LFS pointer: the data itself was not downloaded';
    return problemOf(where, message, 'run `git lfs pull` in the folder that it is in');
  }
  if (/^<(!doctype|html|\?xml)/i.test(text)) {
    const hint = 'a web page may have been saved instead of the file: download the file itself';
    return problemOf(where, 'is HTML or XML, not JSON', hint);
  }
  const table = tableOf(text.split('\n')[0] as string) ?? tables.get(extname(file).toLowerCase());
  return table && problemOf(where, `is ${table}, not JSON`, conversion(table, file));
}

/** A problem if a file that should contain JSON rows begins with neither an object nor a list. */
export function notJsonProblem(head: Buffer, file: string): Problem | undefined {
  const known = containerProblem(head, file);
  const text = textOf(head);
  if (known || isJson(text)) return known;
  if (head.includes(0)) return problemOf(basename(file), 'is binary data, not JSON', undefined);
  const message = `is not JSON: it begins with ${JSON.stringify(text.split('\n')[0]!.slice(0, 40).trimEnd())}`;
  return problemOf(
    basename(file),
    message,
    '.jsonl files have one JSON object per line, .json files a list of objects, .txt files plain text',
  );
}

function problemOf(where: string, message: string, hint: string | undefined): Problem {
  return { where, message, ...(hint === undefined ? {} : { hint }) };
}

const textOf = (head: Buffer) =>
  head
    .toString('utf8')
    .replace(/^\uFEFF/, '')
    .trimStart();
const isJson = (text: string) => text === '' || text.startsWith('{') || text.startsWith('[');

const tables: ReadonlyMap<string, 'CSV' | 'TSV'> = new Map([
  ['.csv', 'CSV'],
  ['.tsv', 'TSV'],
]);

/** Recognises a header line: column names separated by tabs or commas. */
function tableOf(header: string): 'CSV' | 'TSV' | undefined {
  const isHeader = (cells: readonly string[]) =>
    cells.length > 1 && cells.every((cell) => /^"?[\p{L}_][\p{L}\p{N}_ .-]*"?\s*$/u.test(cell));
  if (isHeader(header.split('\t'))) return 'TSV';
  return isHeader(header.split(',')) ? 'CSV' : undefined;
}

function conversion(container: Container, file: string): string | undefined {
  const make = conversions[container];
  const rows = freeName(file);
  return make && `convert it: ${make(shellPath(file), shellPath(rows))}`;
}

/** A name that is not taken, next to the file, for the rows converted from it. */
function freeName(file: string): string {
  const stem = file.slice(0, file.length - extname(file).length).replace(/\.(jsonl|json|ndjson)$/i, '');
  const free = ['', '.rows', '.rows-1', '.rows-2'].find((suffix) => !existsSync(`${stem}${suffix}.jsonl`));
  return free === undefined ? 'ROWS.jsonl' : `${stem}${free}.jsonl`;
}

/** A path relative to the current directory, quoted for a shell. */
export function shellPath(file: string): string {
  const near = relative(process.cwd(), file);
  const path = near.startsWith('..') ? file : near;
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

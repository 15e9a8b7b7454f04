import { existsSync } from 'node:fs';
import { basename, extname, relative } from 'node:path';
import type { Problem } from '../errors.ts';
import { type BinaryFormat, binaryFormatOf, encodingProblem } from '../files.ts';

type Container = BinaryFormat | 'CSV' | 'TSV';

/** Makes the shell command that gives rows, out of the names of the file and of what it writes, both quoted. */
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

/** Endings of data that is not read, so that it is told of where it lies beside files that are. */
export const containerExtensions: readonly string[] =
  '.parquet .arrow .feather .csv .tsv .gz .bz2 .xz .zst .zip .7z .pkl .pickle .xlsx .db'.split(' ');

/** What a file is by its first bytes and its name, where that is something else than JSON that is known. */
export function containerProblem(head: Buffer, file: string): Problem | undefined {
  const where = basename(file);
  const container = binaryFormatOf(head);
  if (container) return problemOf(where, `is ${container}, not JSON`, conversion(container, file));
  const otherwise = encodingProblem(head, where);
  if (otherwise) return otherwise;
  const text = textOf(head);
  if (isJson(text)) return undefined;
  if (text.startsWith('version https://git-lfs')) {
    const message = 'is a pointer of Git LFS: the data itself was not downloaded';
    return problemOf(where, message, 'run `git lfs pull` in the folder that it is in');
  }
  if (/^<(!doctype|html|\?xml)/i.test(text)) {
    const hint = 'a web page may have been saved instead of the file: download the file itself';
    return problemOf(where, 'is HTML or XML, not JSON', hint);
  }
  const table = tableOf(text.split('\n')[0] as string) ?? tables.get(extname(file).toLowerCase());
  return table && problemOf(where, `is ${table}, not JSON`, conversion(table, file));
}

/** What is wrong with a file of JSON rows that begins neither with an object nor with a list. */
export function notJsonProblem(head: Buffer, file: string): Problem | undefined {
  const known = containerProblem(head, file);
  const text = textOf(head);
  if (known || isJson(text)) return known;
  if (head.includes(0)) return problemOf(basename(file), 'is binary data, not JSON', undefined);
  const message = `is not JSON: it begins with ${JSON.stringify(text.split('\n')[0]!.slice(0, 40).trimEnd())}`;
  return problemOf(
    basename(file),
    message,
    '.jsonl holds one JSON object per line, .json a list of objects, .txt plain text',
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

/** Column names with a tab or a comma between them. */
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

/** A name for the rows of a file, beside it, under which there is nothing yet. */
function freeName(file: string): string {
  const stem = file.slice(0, file.length - extname(file).length).replace(/\.(jsonl|json|ndjson)$/i, '');
  const free = ['', '.rows', '.rows-1', '.rows-2'].find((suffix) => !existsSync(`${stem}${suffix}.jsonl`));
  return free === undefined ? 'ROWS.jsonl' : `${stem}${free}.jsonl`;
}

/** A file as one word of a shell, from where the command was given. */
export function shellPath(file: string): string {
  const near = relative(process.cwd(), file);
  const path = near.startsWith('..') ? file : near;
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

import { dirname, resolve, sep } from 'node:path';
import { RunError } from '../errors.ts';

/** A file or directory could not be written. Its previous content is unchanged, and another try may succeed. */
export class WriteError extends RunError {
  /** The reason, in words. */
  readonly reason: string;

  constructor(path: string, reason: string, cause?: unknown) {
    super(`${resolve(path)} could not be written: ${reason}; what was there before is untouched`, {
      hint: 'remove the cause, then run the same command again',
      cause,
    });
    this.reason = reason;
  }
}

/**
 * Turns an error of the operating system while `path` was written into a WriteError. Other errors are returned
 * unchanged, including those about another path that was being read.
 */
export function writeError(error: unknown, path: string): unknown {
  if (error instanceof WriteError) return new WriteError(path, error.reason, error);
  return isSystemError(error) && isBeside(error.path ?? path, path)
    ? new WriteError(path, inWords(error), error)
    : error;
}

/** True for paths in the same folder, or in the temporary folder there that becomes `path`. */
function isBeside(place: string, path: string): boolean {
  return `${resolve(place)}${sep}`.startsWith(`${dirname(resolve(path))}${sep}`);
}

type SystemError = Error & { code: string; path?: string };

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}

const words: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'your quota on this disk is used up',
  EIO: 'the disk reported an error',
  EFBIG: 'the file would be larger than this shell or disk allows',
  EROFS: 'the disk is read-only',
  EACCES: 'there is no permission to write there',
  EPERM: 'there is no permission to write there',
  ENOENT: 'its folder is gone',
  ENOTDIR: 'its folder is gone',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  ESTALE: 'the file on the network disk is gone (stale handle)',
};

function inWords({ code, message }: SystemError): string {
  return words[code] ? `${words[code]} (${code})` : message;
}

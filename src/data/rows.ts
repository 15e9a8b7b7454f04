/** The row types: one per use. A format reader turns files into these; nothing else in mixtune knows a file format. */
export interface TextRow {
  text: string;
}

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
  /** False where the file says that this turn of the assistant is context only: `weight: 0`, `train: false`. */
  trained?: false;
}

/** A conversation; the assistant's turns are what is trained, those with `trained: false` left out. */
export interface MessagesRow {
  messages: Message[];
}

/** Two continuations of the same conversation, of which the first is preferred. */
export interface PreferenceRow {
  prompt: Message[];
  chosen: string;
  rejected: string;
}

/** Answers to the same conversation, each of them wanted or not: what can be said without comparing two. */
export interface FeedbackRow {
  prompt: Message[];
  answers: { text: string; desirable: boolean }[];
}

/** A conversation to answer, and the answer if it can be verified. */
export interface PromptRow {
  prompt: Message[];
  answer?: string;
}

export interface ChoiceRow {
  prompt: Message[];
  choices: string[];
  /** Index into `choices`. */
  answer: number;
}

export interface RowOf {
  text: TextRow;
  messages: MessagesRow;
  preference: PreferenceRow;
  feedback: FeedbackRow;
  prompt: PromptRow;
  choice: ChoiceRow;
}

export type Use = keyof RowOf;

export interface Dataset<R> {
  /** As it was asked for: `town/text`, a descriptor's name or a path. */
  name: string;
  rows: readonly R[];
  /** SHA-256 of the content, for content keys and caches. */
  fingerprint: string;
  reading: Reading;
}

/** How a dataset was read, for those who wonder what became of their file. */
export interface Reading {
  /** The format of its records and what it was told by; nothing for text files and what is built in. */
  format?: { name: string; evidence: string };
  /** Columns, and keys of messages (`messages.name`), that hold something and are not read. */
  unreadColumns: readonly string[];
  /** Files and folders beside those read. */
  skippedFiles: readonly string[];
  /** Things about the rows that a person may not expect. */
  remarks: readonly string[];
}

/** A document to pre-train on. There is one type of row per use; only format readers know the formats of files. */
export interface TextRow {
  text: string;
}

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
  /** False if the file marks this turn of the assistant as context only, by `weight: 0` or `train: false`. */
  trained?: false;
}

/** A conversation whose assistant turns are trained, except those with `trained: false`. */
export interface MessagesRow {
  messages: Message[];
}

/** Two answers to the same conversation; `chosen` is preferred to `rejected`. */
export interface PreferenceRow {
  prompt: Message[];
  chosen: string;
  rejected: string;
}

/** Answers to the same conversation, each labelled as desirable or not, without comparison. */
export interface FeedbackRow {
  prompt: Message[];
  answers: { text: string; desirable: boolean }[];
}

/** A conversation to answer, with the reference answer if there is one. */
export interface PromptRow {
  prompt: Message[];
  answer?: string;
}

/** A multiple-choice question. */
export interface ChoiceRow {
  prompt: Message[];
  choices: string[];
  /** Index of the correct choice in `choices`. */
  answer: number;
}

/** A text, and what is scored after it. */
export interface ScoredText {
  context: string;
  continuation: string;
}

/** A question that a task file made of a row, by the kind of the task. */
export interface QuestionOf {
  /** One text for each choice; the right one is to be the likeliest. */
  choice: { texts: ScoredText[]; choices: string[]; answer: number };
  continuation: ScoredText;
  generate: { prompt: string; answer: string };
  /** Words and bytes are those of the text before it was rewritten. */
  perplexity: { text: string; words: number; bytes: number };
}

export interface RowOf {
  text: TextRow;
  messages: MessagesRow;
  preference: PreferenceRow;
  feedback: FeedbackRow;
  prompt: PromptRow;
  choice: ChoiceRow;
  /** All of one kind: that of the task. */
  question: QuestionOf[keyof QuestionOf];
}

export type Use = keyof RowOf;

export interface Dataset<R> {
  /** The source as given: `town/text`, a descriptor's name or a path. */
  name: string;
  rows: readonly R[];
  /** SHA-256 of the content, for content keys and caches. */
  fingerprint: string;
  reading: Reading;
}

/** How a dataset was read, to tell users what became of their files. */
export interface Reading {
  /** The format of the records and how it was recognised; absent for text files and built-in datasets. */
  format?: { name: string; evidence: string };
  /** Columns and keys of messages (`messages.name`) that are not empty but not read. */
  unreadColumns: readonly string[];
  /** Other files and folders in the same folder, which were not read. */
  skippedFiles: readonly string[];
  /** What users may not expect about the rows. */
  remarks: readonly string[];
}

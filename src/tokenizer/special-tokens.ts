/** Special tokens of the tokenizers that mixtune trains, in the order of their ids (from 0). */
export const specialTokens = {
  /** Ends every document and every turn; the end-of-sequence token. */
  end: '<|end|>',
  pad: '<|pad|>',
  system: '<|system|>',
  user: '<|user|>',
  assistant: '<|assistant|>',
} as const;

/**
 * Jinja chat template of the tokenizers that mixtune trains: for each message a role token, its content, an end token.
 */
export const defaultChatTemplate =
  "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

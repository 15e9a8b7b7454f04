import { RequestError } from '../errors.ts';
import { loadTokenizer } from '../tokenizer/open.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { chatTemplateOf } from './template.ts';

const models = { reward: 'reward model', reference: 'reference', judge: 'judge' };

/**
 * Checks that a model has the policy's tokenizer and chat template, because a reward model or a reference reads the ids
 * that the policy generates.
 * @throws RequestError at the key `where`
 */
export async function assertSameTokenizer(
  tokenizer: Tokenizer,
  directory: string,
  where: keyof typeof models,
): Promise<void> {
  const other = await loadTokenizer(directory);
  if (other.fingerprint === tokenizer.fingerprint) return;
  const model = models[where];
  const ids = Array.from({ length: Math.max(tokenizer.vocabSize, other.vocabSize) }, (_, id) => id);
  const different = ids.find((id) => tokenizer.idToToken(id) !== other.idToToken(id));
  if (different === undefined && chatTemplateOf(tokenizer).source === chatTemplateOf(other).source) return;
  const name = (id: number, from: Tokenizer): string => JSON.stringify(from.idToToken(id) ?? '(none)');
  throw new RequestError({
    where,
    message:
      different === undefined
        ? `the ${model} has a different chat template from the policy's`
        : `the ${model} has a different tokenizer from the policy's: token ${different} is ${name(different, other)} there and ${name(different, tokenizer)} here`,
    hint: `give a ${model} that was trained from a model with the policy's tokenizer`,
  });
}

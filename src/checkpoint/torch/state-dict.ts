import { asWritten } from '../../model/families/values.ts';
import type { Dtype } from '../dtype.ts';
import { Damage } from './damage.ts';
import { type Dict, unpickle } from './pickle.ts';

/** An array of numbers of one type in the file `data/<key>` of an archive. */
export class Storage {
  readonly key: string;
  readonly dtype: Dtype;
  /** The number of elements. */
  readonly length: number;

  constructor(key: string, dtype: Dtype, length: number) {
    this.key = key;
    this.dtype = dtype;
    this.length = length;
  }
}

/** A view of a storage: element [i, j, …] is its number offset + i · strides[0] + j · strides[1] + …. */
export class StoredView {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** The largest number of dimensions in PyTorch. */
const mostDimensions = 64;

/** The types that `torch.FloatStorage` and similar names stand for. */
class StorageType {
  readonly dtype: Dtype;

  constructor(dtype: Dtype) {
    this.dtype = dtype;
  }
}

/** All names that the pickle of a state dict uses. */
const constructors = {
  'collections.OrderedDict': emptyDict,
  'torch._utils._rebuild_tensor_v2': rebuiltTensor,
  'torch._utils._rebuild_parameter': ([data]: readonly unknown[]) => data,
};
const constants = {
  'torch.DoubleStorage': new StorageType('F64'),
  'torch.FloatStorage': new StorageType('F32'),
  'torch.HalfStorage': new StorageType('F16'),
  'torch.BFloat16Storage': new StorageType('BF16'),
  'torch.LongStorage': new StorageType('I64'),
  'torch.IntStorage': new StorageType('I32'),
  'torch.ShortStorage': new StorageType('I16'),
  'torch.CharStorage': new StorageType('I8'),
  'torch.ByteStorage': new StorageType('U8'),
  'torch.BoolStorage': new StorageType('BOOL'),
};

/**
 * The tensors of a pickled state dict, by name. Nothing else in the pickle is created or run.
 * @throws Damage
 */
export function readStateDict(pickle: Uint8Array): Map<string, StoredView> {
  const dict = unpickle(pickle, { constructors, constants, persistent: storageOf });
  if (!(dict instanceof Map)) throw new Damage('it holds no state dict (tensors by name)');
  for (const [name, value] of dict) {
    if (typeof name === 'string' && value instanceof StoredView) continue;
    const what = typeof name === 'string' ? asWritten(name) : 'something without a name';
    const message = `it holds ${what}, which is no tensor, beside or around its weights`;
    throw new Damage(message, 'save the state dict of the model alone: torch.save(model.state_dict(), …)');
  }
  return dict as Map<string, StoredView>;
}

function emptyDict(values: readonly unknown[]): Dict {
  if (values.length > 0) throw new Damage('it holds an OrderedDict made from a list, which PyTorch does not write');
  return new Map();
}

/** Reads ('storage', type, key, device, length), as written by torch.save. */
function storageOf(id: unknown): Storage {
  const [word, type, key, , length] = Array.isArray(id) ? (id as readonly unknown[]) : [];
  if (word !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isCount(length)) {
    throw new Damage('its pickle refers to something that is no storage of numbers');
  }
  return new Storage(key, type.dtype, length);
}

/** torch._utils._rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, backward_hooks). */
function rebuiltTensor([storage, offset, shape, strides]: readonly unknown[]): StoredView {
  const isWhole = storage instanceof Storage && isCount(offset) && isCounts(shape) && isCounts(strides);
  if (!isWhole || shape.length !== strides.length || shape.length > mostDimensions) {
    throw new Damage('its pickle describes a tensor that cannot be');
  }
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
  const isEmpty = shape.includes(0);
  if (
    !Number.isSafeInteger(shape.reduce((product, size) => product * size, 1)) ||
    (!isEmpty && last >= storage.length)
  ) {
    throw new Damage(`a tensor [${shape}] in it reaches beyond the ${storage.length} numbers of its storage`);
  }
  return new StoredView(storage, offset, shape, strides);
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isCounts = (value: unknown): value is number[] => Array.isArray(value) && value.every(isCount);

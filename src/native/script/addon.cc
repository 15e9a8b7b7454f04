// The Node-API glue: numbers and typed arrays in, numbers and promises out.
#include <node_api.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "decoding/cached-attention.h"
#include "engine/operations.h"
#include "script/script-values.h"
#include "script/session.h"
#include "registers/simd.h"

namespace mixtune {

namespace {

/** The state of one environment (the main thread or a worker). */
struct Instance {
  std::vector<std::unique_ptr<Session>> sessions;
};

/** The arguments of a call. */
struct Call {
  napi_env env;
  size_t count = kMaxArguments + 2;
  napi_value values[kMaxArguments + 2];
  Instance* instance = nullptr;

  Call(napi_env env, napi_callback_info info) : env(env) {
    check(napi_get_cb_info(env, info, &count, values, nullptr, reinterpret_cast<void**>(&instance)), "no arguments");
    if (count > kMaxArguments + 2) throw CallFailed{"too many arguments"};
  }
  double number(size_t index) const {
    if (index >= count) throw CallFailed{"an argument is missing"};
    return numberOf(env, values[index]);
  }
  size_t size(size_t index) const {
    const double value = number(index);
    if (!(value >= 0 && value < 1e15)) throw CallFailed{"a size is out of range"};
    return static_cast<size_t>(value);
  }
  Session& session() const {
    const size_t index = static_cast<size_t>(number(0));
    if (index >= instance->sessions.size() || !instance->sessions[index])
      throw CallFailed{"the native engine was disposed of"};
    return *instance->sessions[index];
  }
  Block* block(size_t index) const { return reinterpret_cast<Block*>(static_cast<uintptr_t>(number(index))); }
};

std::string textOfInstructionSet() {
  if (bfloat16IsFast()) return MIXTUNE_AMX ? "AMX with bfloat16" : "AVX-512 with bfloat16";
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__) && defined(__FMA__)
  return "AVX2";
#elif defined(__AVX__)
  return "AVX";
#elif defined(__aarch64__)
  return "NEON";
#else
  return "baseline";
#endif
}

/** () → names of the operations; an operation's number is its index here. */
napi_value operationNames(Call& call) {
  napi_value names;
  check(napi_create_array_with_length(call.env, kOperationCount, &names), "no array");
  for (int i = 0; i < kOperationCount; i++) {
    const napi_value name = textValue(call.env, kOperations[i].name);
    check(napi_set_element(call.env, names, static_cast<uint32_t>(i), name), "no element");
  }
  return names;
}

/** () → name of the instruction set that matrix products use. */
napi_value instructionSet(Call& call) { return textValue(call.env, textOfInstructionSet()); }

/** (threads, bfloat16 as 0 or 1) → number of a new engine. */
napi_value create(Call& call) {
  auto& sessions = call.instance->sessions;
  sessions.push_back(openSession(call.env, static_cast<int>(call.number(0)), call.number(1) != 0));
  return numberValue(call.env, static_cast<double>(sessions.size() - 1));
}

/** (engine): ends its threads; operations still queued are dropped. */
napi_value destroy(Call& call) {
  closeSession(call.env, call.session());
  call.instance->sessions[static_cast<size_t>(call.number(0))].reset();
  return undefinedValue(call.env);
}

/** (engine, rows, columns) → number of 32-bit words of a matrix laid out as an operand of products. */
napi_value operandSize(Call& call) {
  int64_t words = 0;
  const auto rows = static_cast<int64_t>(call.size(1)), columns = static_cast<int64_t>(call.size(2));
  inPrecision(*call.session().engine, [&](auto kind) { words = OperandRows<decltype(kind)>::sizeOf(rows, columns); });
  return numberValue(call.env, static_cast<double>(words));
}

/**
 * (engine, head size, tokens) → array of four numbers about one head of a key-value cache: panels of the keys, 32-bit
 * words of each, panels of the values, 32-bit words of each.
 */
napi_value cacheLayout(Call& call) {
  napi_value layout = nullptr;
  napi_create_array_with_length(call.env, 4, &layout);
  inPrecision(*call.session().engine, [&](auto kind) {
    const int64_t headDim = static_cast<int64_t>(call.number(1)), tokens = static_cast<int64_t>(call.number(2));
    const Cache<decltype(kind)> cache{nullptr, nullptr, 1, headDim, divideUp(tokens, kPanel)};
    const int64_t sizes[] = {cache.keyPanels, cache.keyStride(), cache.valuePanels(), cache.valueStride()};
    for (uint32_t i = 0; i < 4; i++)
      napi_set_element(call.env, layout, i, numberValue(call.env, static_cast<double>(sizes[i])));
  });
  return layout;
}

/**
 * (engine, frequencies and factor as RotaryTable expects them) → number that identifies this rotary embedding in
 * operations.
 */
napi_value rotary(Call& call) {
  Session& session = call.session();
  std::vector<double> frequencies = doublesOf(call.env, call.values[1]);
  if (frequencies.empty()) throw CallFailed{"a rotary embedding without its factor"};
  session.engine->enqueue([engine = session.engine.get(), frequencies] { engine->addRotary(frequencies); });
  return numberValue(call.env, session.rotaries++);
}

/** (engine, bytes) → handle of a new block. */
napi_value allocate(Call& call) {
  Block* block = call.session().engine->pool.allocate(call.size(1));
  return numberValue(call.env, static_cast<double>(reinterpret_cast<uintptr_t>(block)));
}

/** (engine, handle): frees the block. */
napi_value release(Call& call) {
  call.session().engine->pool.free(call.block(1));
  return undefinedValue(call.env);
}

/** (engine, operation, numbers…): queues the operation. */
napi_value enqueue(Call& call) {
  Engine& engine = *call.session().engine;
  const int operation = static_cast<int>(call.number(1));
  if (operation < 0 || operation >= kOperationCount) throw CallFailed{"there is no such operation"};
  double numbers[kMaxArguments];
  for (size_t i = 2; i < call.count; i++) numbers[i - 2] = call.number(i);
  engine.enqueue(operation, numbers, static_cast<int>(call.count) - 2);
  return undefinedValue(call.env);
}

/** (engine, handle, offset in elements, typed array): the array is copied before the call returns. */
napi_value write(Call& call) {
  Engine& engine = *call.session().engine;
  Block* block = call.block(1);
  const size_t offset = call.size(2) * 4;
  const Bytes from = bytesOf(call.env, call.values[3]);
  if (offset + from.length > block->bytes) throw CallFailed{"the data is larger than the tensor"};
  if (from.length == 0) return undefinedValue(call.env);  // an empty array may have no address
  const auto put = [block, offset, length = from.length](const void* data) {
    block->version++;
    std::memcpy(block->memory.get() + offset, data, length);
  };
  if (engine.idle()) {
    put(from.data);
    return undefinedValue(call.env);
  }
  auto staging = std::make_shared<AlignedMemory>(allocateAligned(from.length));
  std::memcpy(staging->get(), from.data, from.length);
  engine.enqueue([put, staging] { put(staging->get()); });
  return undefinedValue(call.env);
}

/** (engine, handle, typed array) → promise that resolves once the array is filled. */
napi_value read(Call& call) {
  Block* block = call.block(1);
  const Bytes to = bytesOf(call.env, call.values[2]);
  if (to.length > block->bytes) throw CallFailed{"the tensor holds less data than requested"};
  napi_ref kept;
  check(napi_create_reference(call.env, call.values[2], 1, &kept), "no reference");
  return enqueueFence(call.env, call.session(), kept,
                      [block, to] { std::memcpy(to.data, block->memory.get(), to.length); });
}

/** (engine) → promise that resolves once everything queued so far has run. */
napi_value sync(Call& call) { return enqueueFence(call.env, call.session(), nullptr, nullptr); }

/** (engine) → bytes of live blocks. */
napi_value usedBytes(Call& call) {
  return numberValue(call.env, static_cast<double>(call.session().engine->pool.used()));
}

/** (engine) → bytes held in total: all blocks, packed weights and scratch memory. */
napi_value heldBytes(Call& call) {
  const Engine& engine = *call.session().engine;
  return numberValue(call.env, static_cast<double>(engine.pool.held() + engine.heldOutsidePool.load()));
}

/**
 * (engine, typed array) → promise that resolves once the array is filled with calls, seconds, GFLOP and GB of each
 * operation.
 */
napi_value costs(Call& call) {
  Session& session = call.session();
  const Bytes to = bytesOf(call.env, call.values[1]);
  if (to.length < kOperationCount * 4 * sizeof(float))
    throw CallFailed{"expected an array with four numbers for each operation"};
  napi_ref kept;
  check(napi_create_reference(call.env, call.values[1], 1, &kept), "no reference");
  return enqueueFence(call.env, session, kept, [&session, to] {
    float* next = static_cast<float*>(to.data);
    for (const OperationCost& cost : session.engine->costs()) {
      *next++ = static_cast<float>(cost.calls);
      *next++ = static_cast<float>(cost.seconds);
      *next++ = static_cast<float>(cost.flops / 1e9);
      *next++ = static_cast<float>(cost.bytes / 1e9);
    }
  });
}

/** Turns every C++ exception into a JavaScript one, because none may cross into Node. */
template <napi_value (*Function)(Call&)>
napi_value guarded(napi_env env, napi_callback_info info) {
  std::string message;
  try {
    Call call(env, info);
    return Function(call);
  } catch (const CallFailed& failure) {
    message = failure.message;
  } catch (const std::exception& error) {
    message = error.what();
  }
  napi_throw_error(env, nullptr, ("native engine: " + message).c_str());
  return nullptr;
}

void endInstance(void* data) { delete static_cast<Instance*>(data); }

template <napi_value (*Function)(Call&)>
void define(napi_env env, napi_value exports, const char* name, Instance* instance) {
  napi_value function;
  check(napi_create_function(env, name, NAPI_AUTO_LENGTH, guarded<Function>, instance, &function), "no function");
  check(napi_set_named_property(env, exports, name, function), "no property");
}

}  // namespace

}  // namespace mixtune

NAPI_MODULE_INIT() {
  using namespace mixtune;
  auto* instance = new Instance;
  napi_add_env_cleanup_hook(env, endInstance, instance);
  define<operationNames>(env, exports, "operationNames", instance);
  define<instructionSet>(env, exports, "instructionSet", instance);
  define<create>(env, exports, "create", instance);
  define<destroy>(env, exports, "destroy", instance);
  define<operandSize>(env, exports, "operandSize", instance);
  define<rotary>(env, exports, "rotary", instance);
  define<cacheLayout>(env, exports, "cacheLayout", instance);
  define<allocate>(env, exports, "allocate", instance);
  define<release>(env, exports, "release", instance);
  define<enqueue>(env, exports, "enqueue", instance);
  define<write>(env, exports, "write", instance);
  define<read>(env, exports, "read", instance);
  define<sync>(env, exports, "sync", instance);
  define<usedBytes>(env, exports, "usedBytes", instance);
  define<heldBytes>(env, exports, "heldBytes", instance);
  define<costs>(env, exports, "costs", instance);
  return exports;
}

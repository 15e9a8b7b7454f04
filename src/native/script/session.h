// An engine opened from JavaScript, and the promises that report when its work is done.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>

#include "engine/engine.h"

namespace mixtune {

/**
 * An engine and the function through which it calls back into JavaScript. Lives until `closeSession` or until the
 * environment ends.
 */
struct Session {
  std::unique_ptr<Engine> engine;
  napi_threadsafe_function reached = nullptr;
  int waiting = 0;
  /** Number of rotary embeddings registered with the engine. */
  int rotaries = 0;
};

std::unique_ptr<Session> openSession(napi_env env, int threads, bool bfloat16);

/** Ends the engine's threads; operations still queued are dropped. */
void closeSession(napi_env env, Session& session);

/**
 * A promise that settles once everything queued so far, and then `action`, has run. `array` is kept alive until then.
 */
napi_value enqueueFence(napi_env env, Session& session, napi_ref array, std::function<void()> action);

}  // namespace mixtune

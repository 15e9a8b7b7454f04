// An engine that a script opened, and the promises through which it answers.
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>

#include "engine/engine.h"

namespace mixtune {

/** An engine and its way back to the script. Lives until the environment ends or `closeSession`. */
struct Session {
  std::unique_ptr<Engine> engine;
  napi_threadsafe_function reached = nullptr;
  int waiting = 0;
  /** Rotary embeddings that the engine was given. */
  int rotaries = 0;
};

std::unique_ptr<Session> openSession(napi_env env, int threads, bool bfloat16);

/** Ends the engine's threads; what is still queued is dropped. */
void closeSession(napi_env env, Session& session);

/** A promise that settles once everything enqueued so far, and then `action`, has run; `array` is kept until then. */
napi_value enqueueFence(napi_env env, Session& session, napi_ref array, std::function<void()> action);

}  // namespace mixtune

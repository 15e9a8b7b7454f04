#include "script/session.h"

#include <string>
#include <utility>

#include "script/script-values.h"

namespace mixtune {

namespace {

/** A promise that settles when the queue reaches it. */
struct Fence {
  Session* session;
  napi_deferred deferred;
  napi_ref array = nullptr;
  std::string failure;
};

/** Settles the promise of a fence that was reached; runs on the JavaScript thread. */
void settle(napi_env env, napi_value, void*, void* data) {
  std::unique_ptr<Fence> fence(static_cast<Fence*>(data));
  if (!env) return;
  if (--fence->session->waiting == 0) napi_unref_threadsafe_function(env, fence->session->reached);
  if (fence->array) napi_delete_reference(env, fence->array);
  napi_value value;
  if (fence->failure.empty()) {
    napi_get_undefined(env, &value);
    napi_resolve_deferred(env, fence->deferred, value);
    return;
  }
  napi_value message;
  napi_create_string_utf8(env, fence->failure.data(), fence->failure.size(), &message);
  napi_create_error(env, nullptr, message, &value);
  napi_reject_deferred(env, fence->deferred, value);
}

void endSession(void* data) { static_cast<Session*>(data)->engine.reset(); }

}  // namespace

std::unique_ptr<Session> openSession(napi_env env, int threads, bool bfloat16) {
  auto session = std::make_unique<Session>();
  check(napi_create_threadsafe_function(env, nullptr, nullptr, textValue(env, "mixtune engine"), 0, 1, nullptr, nullptr,
                                        nullptr, settle, &session->reached),
        "no thread-safe function");
  check(napi_unref_threadsafe_function(env, session->reached), "no thread-safe function");
  session->engine = std::make_unique<Engine>(threads, bfloat16);
  // Hooks run last in, first out: this one ends the engine's threads before the thread-safe function above goes away.
  check(napi_add_env_cleanup_hook(env, endSession, session.get()), "no clean-up hook");
  return session;
}

void closeSession(napi_env env, Session& session) {
  napi_remove_env_cleanup_hook(env, endSession, &session);
  session.engine.reset();
  napi_release_threadsafe_function(session.reached, napi_tsfn_abort);
}

napi_value enqueueFence(napi_env env, Session& session, napi_ref array, std::function<void()> action) {
  napi_value promise;
  Fence* fence = new Fence{&session, nullptr, array, {}};
  check(napi_create_promise(env, &fence->deferred, &promise), "no promise");
  if (session.waiting++ == 0) napi_ref_threadsafe_function(env, session.reached);
  session.engine->enqueue([&session, fence, action = std::move(action)] {
    if (action) action();
    fence->failure = session.engine->takeFailure();
    napi_call_threadsafe_function(session.reached, fence, napi_tsfn_blocking);
  });
  return promise;
}

}  // namespace mixtune

// Conversions between JavaScript and C++ values; arguments of an unexpected type are reported as errors.
#pragma once

#include <node_api.h>

#include <string>
#include <vector>

namespace mixtune {

/** Thrown when a Node-API call fails or when JavaScript passes an invalid argument. */
struct CallFailed {
  std::string message;
};

inline void check(napi_status status, const char* what) {
  if (status != napi_ok) throw CallFailed{what};
}

inline double numberOf(napi_env env, napi_value value) {
  double number = 0;
  check(napi_get_value_double(env, value, &number), "a number was expected");
  return number;
}

struct Bytes {
  void* data;
  size_t length;
};

/** The memory of an Int32Array or Float32Array. */
inline Bytes bytesOf(napi_env env, napi_value array) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr), "a typed array was expected");
  if (type != napi_float32_array && type != napi_int32_array) throw CallFailed{"a 32-bit typed array was expected"};
  return {data, length * 4};
}

/** The elements of a Float64Array. */
inline std::vector<double> doublesOf(napi_env env, napi_value array) {
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr), "a typed array was expected");
  if (type != napi_float64_array) throw CallFailed{"a Float64Array was expected"};
  const double* first = static_cast<const double*>(data);
  return std::vector<double>(first, first + length);
}

inline napi_value numberValue(napi_env env, double number) {
  napi_value value;
  check(napi_create_double(env, number, &value), "no number");
  return value;
}

inline napi_value textValue(napi_env env, const std::string& text) {
  napi_value value;
  check(napi_create_string_utf8(env, text.data(), text.size(), &value), "no string");
  return value;
}

inline napi_value undefinedValue(napi_env env) {
  napi_value value;
  check(napi_get_undefined(env, &value), "no value");
  return value;
}

}  // namespace mixtune

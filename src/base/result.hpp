// Result<T>: a value or an Error. An alias, so that a later move to std::expected is one line.
#pragma once

#include "base/error.hpp"

#include <tl/expected.hpp>

#include <utility>

namespace orch::base {

template <class T = void>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
inline tl::unexpected<Error> fail(ErrorKind kind, std::string what, std::string hint = {}) {
  return tl::unexpected<Error>(Error(kind, std::move(what), std::move(hint)));
}

}  // namespace orch::base

#define ORCH_CONCAT_(a, b) a##b
#define ORCH_CONCAT(a, b) ORCH_CONCAT_(a, b)
// ORCH_TRY(auto x, expression): declares x from the value, or returns the error.
#define ORCH_TRY(declaration, ...) ORCH_TRY_(ORCH_CONCAT(orch_try_, __LINE__), declaration, __VA_ARGS__)
#define ORCH_TRY_(name, declaration, ...)                        \
  auto name = (__VA_ARGS__);                                     \
  if (!name) return ::orch::base::fail(std::move(name).error()); \
  declaration = *std::move(name)
// ORCH_CHECK(expression): returns the error, if there is one; drops the value.
#define ORCH_CHECK(...)                                                          \
  do {                                                                           \
    auto orch_check_ = (__VA_ARGS__);                                            \
    if (!orch_check_) return ::orch::base::fail(std::move(orch_check_).error()); \
  } while (false)

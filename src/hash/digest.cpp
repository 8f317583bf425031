#include "hash/digest.hpp"

#include "base/text.hpp"

#include <openssl/sha.h>
#include <xxhash.h>
#ifdef ORCH_XXH_DISPATCH
#include <xxh_x86dispatch.h>  // XXH3 with the widest instructions that this processor has, as xxhsum does
#endif

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <new>
#include <stdexcept>

namespace orch::hash {

namespace {

Digest canonical(const XXH128_hash_t& value) {
  XXH128_canonical_t bytes;
  XXH128_canonicalFromHash(&bytes, value);
  Digest out;
  std::copy(std::begin(bytes.digest), std::end(bytes.digest), out.bytes.begin());
  return out;
}

template <class Bytes>
std::optional<Bytes> parse_hex(std::string_view hex) {
  const std::optional<std::vector<std::uint8_t>> raw = base::unhex(hex);
  Bytes out;
  if (!raw || raw->size() != out.bytes.size()) return std::nullopt;
  std::copy(raw->begin(), raw->end(), out.bytes.begin());
  return out;
}

}  // namespace

std::string Digest::hex() const {
  return base::hex(bytes);
}
std::optional<Digest> Digest::parse(std::string_view hex) {
  return parse_hex<Digest>(hex);
}

Digest digest_of(std::string_view bytes) {
  return canonical(XXH3_128bits(bytes.data(), bytes.size()));
}

struct Hasher::State {
  XXH3_state_t* state = XXH3_createState();  // aligned as XXH3 demands
  ~State() { XXH3_freeState(state); }
  State() {
    if (state == nullptr) throw std::bad_alloc();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {
  reset();
}
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;
void Hasher::reset() {
  XXH3_128bits_reset(state_->state);
}
void Hasher::update(const void* data, std::size_t size) {
  XXH3_128bits_update(state_->state, data, size);
}
Digest Hasher::finish() const {
  return canonical(XXH3_128bits_digest(state_->state));
}

std::string Sha256::hex() const {
  return base::hex(bytes);
}
std::optional<Sha256> Sha256::parse(std::string_view hex) {
  return parse_hex<Sha256>(hex);
}

// The low-level interface: the EVP one fetches its implementation by name, which costs a no-op build most of
// its time. libcrypto marks it deprecated in favour of EVP; its code (and its use of SHA-NI) is the same.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace {

// libcrypto's functions, loaded when the first is needed: linked, the library costs each start of the program a
// millisecond, and a build with nothing to do has no SHA-256 to make.
struct Crypto {
  decltype(&SHA256_Init) sha256_init = nullptr;
  decltype(&SHA256_Update) sha256_update = nullptr;
  decltype(&SHA256_Final) sha256_final = nullptr;
  decltype(&SHA1) sha1 = nullptr;

  Crypto() {
    void* const library = ::dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    find(library, "SHA256_Init", sha256_init);
    find(library, "SHA256_Update", sha256_update);
    find(library, "SHA256_Final", sha256_final);
    find(library, "SHA1", sha1);
  }

 private:
  template <class Function>
  static void find(void* library, const char* name, Function& function) {
    function = library == nullptr ? nullptr : reinterpret_cast<Function>(::dlsym(library, name));
    if (function == nullptr)
      throw std::runtime_error(
          "libcrypto.so.3 cannot be loaded, and every SHA-256 needs it: install the package 'libssl3' "
          "(Debian) or "
          "'openssl-libs' (Fedora)");
  }
};

const Crypto& crypto() {
  static const Crypto k_crypto;
  return k_crypto;
}

}  // namespace

struct Sha256Hasher::State {
  SHA256_CTX context{};
};

Sha256Hasher::Sha256Hasher() : state_(std::make_unique<State>()) {
  crypto().sha256_init(&state_->context);
}
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;
Sha256Hasher::~Sha256Hasher() = default;
void Sha256Hasher::update(const void* data, std::size_t size) {
  crypto().sha256_update(&state_->context, data, size);
}
Sha256 Sha256Hasher::finish() {
  Sha256 out;
  crypto().sha256_final(out.bytes.data(), &state_->context);
  return out;
}

Sha256 sha256_of(std::string_view bytes) {
  Sha256Hasher hasher;
  hasher.update(bytes);
  return hasher.finish();
}

#pragma GCC diagnostic pop

namespace {

// read(2) in pieces that stay in the second-level cache, also while the kernel copies them: pieces of 256 KiB
// take nearly twice the time. As fast as mmap here, and a file that shrinks is no SIGBUS.
constexpr std::size_t k_piece = 64 * 1024;

template <class Sink>
Result<> feed(int fd, std::string_view name, Sink& sink) {
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  thread_local std::unique_ptr<char[]> buffer = std::make_unique<char[]>(k_piece);
  std::uint64_t offset = 0;
  while (true) {
    const ssize_t got = ::pread(fd, buffer.get(), k_piece, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::fail(base::errno_error(errno, "read", name));
    if (got == 0) return {};
    sink.update(buffer.get(), static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

}  // namespace

Result<Digest> digest_fd(int fd, std::string_view name) {
  Hasher hasher;
  ORCH_CHECK(feed(fd, name, hasher));
  return hasher.finish();
}

Result<Sha256> sha256_fd(int fd, std::string_view name) {
  Sha256Hasher hasher;
  ORCH_CHECK(feed(fd, name, hasher));
  return hasher.finish();
}

Result<std::string> xxh3_64_fd(int fd, std::string_view name) {
  struct Sink {
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state{XXH3_createState(), XXH3_freeState};
    void update(const void* data, std::size_t size) { XXH3_64bits_update(state.get(), data, size); }
  } sink;
  if (sink.state == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(sink.state.get());
  ORCH_CHECK(feed(fd, name, sink));
  XXH64_canonical_t bytes{};
  XXH64_canonicalFromHash(&bytes, XXH3_64bits_digest(sink.state.get()));
  return base::hex(bytes.digest);
}

std::array<std::uint8_t, 20> sha1_of(std::string_view bytes) {
  std::array<std::uint8_t, 20> out{};
  crypto().sha1(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), out.data());
  return out;
}

Result<FileDigests> file_digests(int fd, std::string_view name) {
  struct Both {
    Hasher hasher;
    Sha256Hasher sha256;
    std::uint64_t size = 0;
    void update(const void* data, std::size_t count) {
      hasher.update(data, count);
      sha256.update(data, count);
      size += count;
    }
  } both;
  ORCH_CHECK(feed(fd, name, both));
  return FileDigests{both.hasher.finish(), both.sha256.finish(), both.size};
}

}  // namespace orch::hash

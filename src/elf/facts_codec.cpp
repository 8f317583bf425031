#include "elf/facts_codec.hpp"

#include <type_traits>

namespace orch::elf {

namespace {

// Numbers are in groups of 7 bits, lowest first, the top bit set on all but the last; texts and lists have
// their length before them. Writer and Reader are given the fields by one function, so they cannot differ.
class Writer {
 public:
  template <class T>
  requires std::is_unsigned_v<T>
  void field(const T& number) {
    std::uint64_t left = number;
    for (; left >= 0x80; left >>= 7) bytes_ += static_cast<char>(left | 0x80);
    bytes_ += static_cast<char>(left);
  }
  void field(const std::string& text) {
    field(text.size());
    bytes_ += text;
  }
  void field(const VersionNeed& need) {
    field(need.library);
    field(need.version);
    field(need.weak);
  }
  template <class T>
  void field(const std::vector<T>& list) {
    field(list.size());
    for (const T& item : list) field(item);
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  template <class T>
  requires std::is_unsigned_v<T>
  void field(T& number) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      const auto byte = static_cast<std::uint8_t>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) != 0) continue;
      number = static_cast<T>(value);
      sound_ &= static_cast<std::uint64_t>(number) == value;
      return;
    }
    sound_ = false;
  }
  void field(std::string& text) {
    const std::size_t size = length();
    text.assign(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
  }
  void field(VersionNeed& need) {
    field(need.library);
    field(need.version);
    field(need.weak);
  }
  template <class T>
  void field(std::vector<T>& list) {
    list.resize(length());  // every item takes a byte at least
    for (T& item : list) field(item);
  }
  bool finished() const { return sound_ && bytes_.empty(); }

 private:
  std::size_t length() {
    std::size_t size = 0;
    field(size);
    if (size > bytes_.size()) sound_ = false;
    return sound_ ? size : 0;
  }

  std::string_view bytes_;
  bool sound_ = true;
};

template <class Codec, class F>
void all_fields(Codec& codec, F& facts) requires std::is_same_v<std::remove_const_t<F>, Facts> {
  codec.field(facts.is_64);
  codec.field(facts.machine);
  codec.field(facts.type);
  codec.field(facts.dynamic);
  codec.field(facts.interpreter);
  codec.field(facts.soname);
  codec.field(facts.needed);
  codec.field(facts.rpath);
  codec.field(facts.runpath);
  codec.field(facts.has_runpath);
  codec.field(facts.versions);
  codec.field(facts.definitions);
  codec.field(facts.versioned);
  codec.field(facts.glibc);
  codec.field(facts.isa_needed);
  codec.field(facts.isa_used);
  codec.field(facts.ibt);
  codec.field(facts.shstk);
  codec.field(facts.build_id);
  codec.field(facts.flags);
  codec.field(facts.flags_1);
  codec.field(facts.executable_stack);
  codec.field(facts.defect);
}

template <class Codec, class L>
void all_fields(Codec& codec, L& layout) requires std::is_same_v<std::remove_const_t<L>, LoaderLayout> {
  codec.field(layout.system_directories);
  codec.field(layout.lib);
  codec.field(layout.legacy_hwcap);
}

template <class T>
std::string encode(const T& value) {
  Writer writer;
  writer.field(k_facts_form);
  all_fields(writer, value);
  return writer.take();
}

template <class T>
Result<T> decode(std::string_view bytes, const char* what) {
  Reader reader(bytes);
  unsigned form = 0;
  reader.field(form);
  T value;
  if (form == k_facts_form) all_fields(reader, value);
  if (form != k_facts_form || !reader.finished())
    return base::fail(base::ErrorKind::corrupt,
                      std::string("the stored ") + what + " are damaged or of another version");
  return value;
}

}  // namespace

std::string encode_facts(const Facts& facts) {
  return encode(facts);
}
std::string encode_layout(const LoaderLayout& layout) {
  return encode(layout);
}
Result<Facts> decode_facts(std::string_view bytes) {
  return decode<Facts>(bytes, "ELF facts");
}
Result<LoaderLayout> decode_layout(std::string_view bytes) {
  return decode<LoaderLayout>(bytes, "loader directories");
}

}  // namespace orch::elf

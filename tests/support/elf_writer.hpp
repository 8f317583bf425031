// Small ELF files made by hand, for tests of what reads them: no compiler, and headers that none would write.
// They say what they are told to and have no code. One segment, in which addresses are file offsets.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orch::test {

struct ElfSpec {
  std::uint16_t machine = 62;
  std::uint16_t type = 3;
  std::string interpreter{};
  std::string soname{};
  std::vector<std::string> needed{};
  std::string rpath{};
  std::string runpath{};
  std::uint64_t flags = 0;
  std::uint64_t flags_1 = 0;
  struct Version {
    std::string name{};
    bool weak = false;
  };
  std::vector<std::pair<std::string, std::vector<Version>>> versions{};  // library, what is needed of it
  std::vector<std::string> definitions{};
  std::uint32_t isa_needed = 0;  // bits: 1 baseline, 2 v2, 4 v3, 8 v4
  std::uint32_t features = 0;    // bits: 1 IBT, 2 SHSTK
  std::string build_id{};        // bytes
  bool executable_stack = false;
  bool dynamic = true;
  std::string data{};  // stands somewhere in the read-only segment
};

class ElfWriter {
 public:
  explicit ElfWriter(const ElfSpec& spec) : spec_(spec) {}

  std::string bytes() {
    const std::size_t segments = 5;
    out_.assign(64 + 56 * segments, '\0');
    const std::size_t interpreter = append(spec_.interpreter + '\0');
    strings_ = std::string(1, '\0');
    collect_dynamic();
    const std::size_t needs = append(version_needs());
    const std::size_t definitions = append(version_definitions());
    const std::size_t notes = append(property_note());
    const std::size_t notes_size = out_.size() - notes;
    const std::size_t build_id = append(build_id_note());
    const std::size_t build_id_size = out_.size() - build_id;
    append(std::string(1, '\0') + spec_.data + '\0');
    const std::size_t strings = append(strings_);
    tag(5, strings);
    tag(10, strings_.size());
    if (!spec_.versions.empty()) {
      tag(0x6ffffffe, needs);
      tag(0x6fffffff, spec_.versions.size());
    }
    if (!spec_.definitions.empty()) {
      tag(0x6ffffffc, definitions);
      tag(0x6ffffffd, spec_.definitions.size() + 1);
    }
    tag(0, 0);
    const std::size_t dynamic = append(dynamic_);
    header(segments);
    segment(0, 1, 4, 0, out_.size());
    segment(1, spec_.dynamic ? 2 : 0, 4, dynamic, dynamic_.size());
    segment(2, spec_.interpreter.empty() ? 0 : 3, 4, interpreter, spec_.interpreter.size() + 1);
    segment(3, notes_size == 0 ? 0 : 0x6474e553, 4, notes, notes_size);
    segment(4, build_id_size == 0 ? 0x6474e551 : 4, spec_.executable_stack ? 7 : 6, build_id, build_id_size);
    return out_;
  }

 private:
  static std::string number(std::uint64_t value, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
    return text;
  }
  void set(std::size_t at, std::uint64_t value, std::size_t size) {
    out_.replace(at, size, number(value, size));
  }
  // Appends at a multiple of 8 and gives the offset.
  std::size_t append(const std::string& part) {
    out_.append((8 - out_.size() % 8) % 8, '\0');
    out_ += part;
    return out_.size() - part.size();
  }
  std::size_t text(const std::string& word) {
    strings_ += word + '\0';
    return strings_.size() - word.size() - 1;
  }
  void tag(std::uint64_t name, std::uint64_t value) { dynamic_ += number(name, 8) + number(value, 8); }

  void collect_dynamic() {
    for (const std::string& name : spec_.needed) tag(1, text(name));
    if (!spec_.soname.empty()) tag(14, text(spec_.soname));
    if (!spec_.rpath.empty()) tag(15, text(spec_.rpath));
    if (!spec_.runpath.empty()) tag(29, text(spec_.runpath));
    if (spec_.flags != 0) tag(30, spec_.flags);
    if (spec_.flags_1 != 0) tag(0x6ffffffb, spec_.flags_1);
  }
  std::string version_needs() {
    std::string table;
    for (std::size_t i = 0; i < spec_.versions.size(); ++i) {
      const auto& [library, versions] = spec_.versions[i];
      const bool last = i + 1 == spec_.versions.size();
      table += number(1, 2) + number(versions.size(), 2) + number(text(library), 4) + number(16, 4) +
               number(last ? 0 : 16 + 16 * versions.size(), 4);
      for (std::size_t k = 0; k < versions.size(); ++k)
        table += number(0, 4) + number(versions[k].weak ? 2 : 0, 2) + number(k + 2, 2) +
                 number(text(versions[k].name), 4) + number(k + 1 == versions.size() ? 0 : 16, 4);
    }
    return table;
  }
  std::string version_definitions() {
    if (spec_.definitions.empty()) return {};
    std::vector<std::string> names{spec_.soname};
    names.insert(names.end(), spec_.definitions.begin(), spec_.definitions.end());
    std::string table;
    for (std::size_t i = 0; i < names.size(); ++i)
      table += number(1, 2) + number(i == 0 ? 1 : 0, 2) + number(i + 1, 2) + number(1, 2) + number(0, 4) +
               number(20, 4) + number(i + 1 == names.size() ? 0 : 28, 4) + number(text(names[i]), 4) +
               number(0, 4);
    return table;
  }
  std::string property_note() const {
    std::string properties;
    if (spec_.isa_needed != 0)
      properties += number(0xc0008002, 4) + number(4, 4) + number(spec_.isa_needed, 4) + number(0, 4);
    if (spec_.features != 0)
      properties += number(0xc0000002, 4) + number(4, 4) + number(spec_.features, 4) + number(0, 4);
    if (properties.empty()) return {};
    return number(4, 4) + number(properties.size(), 4) + number(5, 4) + std::string("GNU\0", 4) + properties;
  }
  std::string build_id_note() const {
    if (spec_.build_id.empty()) return {};
    return number(4, 4) + number(spec_.build_id.size(), 4) + number(3, 4) + std::string("GNU\0", 4) +
           spec_.build_id;
  }
  void header(std::size_t segments) {
    out_.replace(0, 7,
                 "\x7f"
                 "ELF\x02\x01\x01");
    set(16, spec_.type, 2);
    set(18, spec_.machine, 2);
    set(20, 1, 4);
    set(0x20, 64, 8);
    set(0x34, 64, 2);
    set(0x36, 56, 2);
    set(0x38, segments, 2);
    set(0x3a, 64, 2);
  }
  void segment(std::size_t index, std::uint32_t type, std::uint32_t flags, std::size_t offset,
               std::size_t size) {
    const std::size_t at = 64 + 56 * index;
    set(at, type, 4);
    set(at + 4, flags, 4);
    for (const std::size_t place : {std::size_t{8}, std::size_t{16}, std::size_t{24}})
      set(at + place, offset, 8);
    set(at + 32, size, 8);
    set(at + 40, size, 8);
  }

  const ElfSpec& spec_;
  std::string out_;
  std::string strings_;
  std::string dynamic_;
};

inline std::string make_elf(const ElfSpec& spec) {
  return ElfWriter(spec).bytes();
}

}  // namespace orch::test

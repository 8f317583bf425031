// Makes .rpm files for tests, odd ones too: headers as given, an uncompressed cpio (newc) as payload.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace orch::test {

struct RpmFile {
  std::string path;
  std::uint32_t mode = 0100644;
  std::string text;  // content, or target
  unsigned links = 1;
  unsigned inode = 1;
};

struct RpmText {
  std::string name = "x";
  std::string version = "1.0";
  std::string release = "2.fc42";
  std::uint32_t epoch = 0;
  std::string architecture = "x86_64";
  std::vector<std::string> requirements;
  std::vector<std::string> provides;
};

class RpmHeaderWriter {
 public:
  void text(std::uint32_t tag, const std::string& value) {
    entry(tag, 6, 1);
    data_ += value + '\0';
  }
  void texts(std::uint32_t tag, const std::vector<std::string>& values) {
    if (values.empty()) return;
    entry(tag, 8, static_cast<std::uint32_t>(values.size()));
    for (const std::string& value : values) data_ += value + '\0';
  }
  void numbers(std::uint32_t tag, const std::vector<std::uint32_t>& values) {
    while (data_.size() % 4 != 0) data_ += '\0';
    entry(tag, 4, static_cast<std::uint32_t>(values.size()));
    for (const std::uint32_t value : values) put(data_, value);
  }
  std::string bytes() const {
    std::string out("\x8e\xad\xe8\x01\0\0\0\0", 8);
    put(out, count_);
    put(out, static_cast<std::uint32_t>(data_.size()));
    return out + index_ + data_;
  }

 private:
  static void put(std::string& out, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 255U);
  }
  void entry(std::uint32_t tag, std::uint32_t type, std::uint32_t count) {
    for (const std::uint32_t value : {tag, type, static_cast<std::uint32_t>(data_.size()), count})
      put(index_, value);
    ++count_;
  }
  std::uint32_t count_ = 0;
  std::string index_;
  std::string data_;
};

inline std::string cpio_bytes(std::vector<RpmFile> files) {
  files.push_back({"TRAILER!!!", 0, "", 1, 0});
  std::string out;
  for (const RpmFile& file : files) {
    char head[111];
    std::snprintf(head, sizeof head, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", file.inode,
                  file.mode, 0U, 0U, file.links, 0U, static_cast<unsigned>(file.text.size()), 0U, 0U, 0U, 0U,
                  static_cast<unsigned>(file.path.size() + 1), 0U);
    out += head + file.path + '\0';
    while (out.size() % 4 != 0) out += '\0';
    out += file.text;
    while (out.size() % 4 != 0) out += '\0';
  }
  return out;
}

// "./usr/bin/x" as name "x" in "/usr/bin/".
inline void write_file_list(RpmHeaderWriter& header, const std::vector<RpmFile>& files) {
  std::vector<std::string> folders;
  std::vector<std::string> names;
  std::vector<std::uint32_t> places;
  for (const RpmFile& file : files) {
    const std::size_t slash = file.path.rfind('/');
    if (slash == std::string::npos || slash == 0) continue;
    places.push_back(static_cast<std::uint32_t>(folders.size()));
    folders.push_back(file.path.substr(1, slash));
    names.push_back(file.path.substr(slash + 1));
  }
  if (names.empty()) return;
  header.numbers(1116, places);
  header.texts(1117, names);
  header.texts(1118, folders);
}

inline std::string rpm_bytes(const RpmText& text, const std::vector<RpmFile>& files) {
  std::string out("\xed\xab\xee\xdb\x03\0\0\0\0\x01", 10);
  out.resize(96);
  RpmHeaderWriter signature;
  signature.numbers(1000, {0});
  out += signature.bytes();
  while (out.size() % 8 != 0) out += '\0';
  RpmHeaderWriter header;
  header.text(1000, text.name);
  header.text(1001, text.version);
  header.text(1002, text.release);
  if (text.epoch != 0) header.numbers(1003, {text.epoch});
  header.text(1014, "MIT");
  header.text(1022, text.architecture);
  header.texts(1047, text.provides);
  header.texts(1049, text.requirements);
  write_file_list(header, files);
  return out + header.bytes() + cpio_bytes(files);
}

}  // namespace orch::test

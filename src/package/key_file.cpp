#include "package/key_file.hpp"

#include "base/text.hpp"
#include "hash/digest.hpp"
#include "sys/file.hpp"

#include <algorithm>
#include <optional>

namespace orch::package {

using base::ErrorKind;

namespace {

constexpr std::string_view k_begin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
constexpr std::string_view k_end = "-----END PGP PUBLIC KEY BLOCK-----";

// The binary form of all blocks of an armoured text; nullopt where one is damaged, or there is anything that another
// reader could take for more keys: what is checked here is all that the package manager gets to see.
std::optional<std::string> dearmoured(std::string_view text) {
  enum class Part { outside, headers, body, tail };
  Part part = Part::outside;
  std::string out;
  std::string body;
  for (std::string_view line : base::split(text, '\n')) {
    line = base::trim(line);
    if (part == Part::outside) {
      if (line.find("-----BEGIN") == std::string_view::npos) continue;
      if (line != k_begin) return std::nullopt;
      part = Part::headers;
    } else if (part == Part::headers) {
      if (!line.empty() && line.find(": ") == std::string_view::npos) return std::nullopt;
      if (line.empty()) part = Part::body;
    } else if (line == k_end) {
      const auto bytes = base::unbase64(body);
      if (!bytes) return std::nullopt;
      out += *bytes;
      body.clear();
      part = Part::outside;
    } else if (part == Part::tail) {
      return std::nullopt;
    } else if (line.starts_with('=')) {
      part = Part::tail;  // the checksum
    } else {
      body += line;
    }
  }
  if (part != Part::outside) return std::nullopt;
  return out;
}

// What belongs to keys: signatures, keys, trust, user ids, subkeys, attributes, padding. A compressed packet or a
// secret key could hold further ones.
bool is_of_key(unsigned tag) {
  return tag == 2 || tag == 6 || tag == 10 || (tag >= 12 && tag <= 14) || tag == 17 || tag == 21;
}

std::uint64_t number(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = (value << 8U) | static_cast<unsigned char>(c);
  return value;
}

struct Packet {
  unsigned tag = 0;
  std::string_view body;
};

// Bytes of the length field after the tag, and the length; nullopt where it is cut short, or of a form that
// keys do not have (partial and indeterminate lengths).
struct Length {
  std::size_t field = 0;
  std::uint64_t value = 0;
};
std::optional<Length> old_length(std::string_view bytes, unsigned type) {
  if (type == 3) return std::nullopt;
  const std::size_t field = std::size_t{1} << type;
  if (bytes.size() < field) return std::nullopt;
  return Length{field, number(bytes.substr(0, field))};
}
std::optional<Length> new_length(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const std::uint64_t first = number(bytes.substr(0, 1));
  if (first < 192) return Length{1, first};
  if (first < 224 && bytes.size() >= 2)
    return Length{2, ((first - 192) << 8U) + number(bytes.substr(1, 1)) + 192};
  if (first == 255 && bytes.size() >= 5) return Length{5, number(bytes.substr(1, 4))};
  return std::nullopt;
}

std::optional<Packet> take_packet(std::string_view& bytes) {
  const auto head = static_cast<unsigned char>(bytes[0]);
  if ((head & 0x80U) == 0) return std::nullopt;
  const bool is_new = (head & 0x40U) != 0;
  const auto length = is_new ? new_length(bytes.substr(1)) : old_length(bytes.substr(1), head & 3U);
  if (!length || length->value > bytes.size() - 1 - length->field) return std::nullopt;
  Packet packet;
  packet.tag = is_new ? head & 0x3fU : (head >> 2U) & 0xfU;
  packet.body = bytes.substr(1 + length->field, length->value);
  bytes.remove_prefix(1 + length->field + length->value);
  return packet;
}

std::string upper_hex(std::span<const std::uint8_t> bytes) {
  std::string out = base::hex(bytes);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

// Version 4 is hashed with a length of two bytes, later ones with one of four.
std::optional<std::string> fingerprint(std::string_view body) {
  const int version = body.empty() ? 0 : body[0];
  if (version == 4 && body.size() < 65536) {
    std::string text = "\x99";
    text += static_cast<char>(body.size() >> 8U);
    text += static_cast<char>(body.size() & 255U);
    return upper_hex(hash::sha1_of(text + std::string(body)));
  }
  if (version != 5 && version != 6) return std::nullopt;
  std::string text = version == 5 ? "\x9a" : "\x9b";
  for (unsigned shift = 32; shift > 0; shift -= 8)
    text += static_cast<char>((body.size() >> (shift - 8)) & 255U);
  return upper_hex(hash::sha256_of(text + std::string(body)).bytes);
}

}  // namespace

Result<std::vector<std::string>> key_fingerprints(const std::string& path, std::string_view bytes) {
  const auto bad = [&](std::string_view what) {
    return base::fail(ErrorKind::corrupt,
                      "'" + base::printable(path) + "' is no OpenPGP key file: " + std::string(what),
                      "name the key file of the archive in signed_by");
  };
  std::optional<std::string> binary(bytes);
  // The first byte of a binary packet has its highest bit set: a text in it, in a user id say, is no armour.
  const bool is_binary = !bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0;
  if (!is_binary && bytes.find(k_begin) != std::string_view::npos) binary = dearmoured(bytes);
  if (!binary) return bad("its text form is damaged");
  std::vector<std::string> found;
  for (std::string_view rest = *binary; !rest.empty();) {
    const std::optional<Packet> packet = take_packet(rest);
    if (!packet) return bad("it is cut short, or something else");
    if (!is_of_key(packet->tag)) return bad("it has something that belongs to no key");
    if (packet->tag != 6) continue;
    const auto text = fingerprint(packet->body);
    if (!text) return bad("it has a key of a version that is not known");
    found.push_back(*text);
  }
  if (found.empty()) return bad("it has no key");
  return found;
}

Result<std::string> read_key_file(const Source& source) {
  auto bytes = sys::read_file(source.signed_by);
  if (!bytes)
    return base::fail(base::Error(bytes.error())
                          .with_hint("install the package that has the key file (ubuntu-keyring, "
                                     "distribution-gpg-keys), or name another file in signed_by"));
  if (source.fingerprints.empty()) return bytes;
  ORCH_TRY(const std::vector<std::string> found, key_fingerprints(source.signed_by, *bytes));
  for (const std::string& key : found) {
    if (std::find(source.fingerprints.begin(), source.fingerprints.end(), key) != source.fingerprints.end())
      continue;
    return base::fail(
        ErrorKind::profile,
        "the key file '" + base::printable(source.signed_by) + "' of source '" +
            base::printable(source.name) + "' has the key " + key + ", expected none but " +
            base::join(source.fingerprints, ", "),
        "name the archive's real key file in signed_by; if the key is the archive's too, add it to "
        "fingerprints");
  }
  return bytes;
}

Result<> check_key_file(const Source& source) {
  if (source.fingerprints.empty() || source.signed_by.empty()) return {};
  ORCH_CHECK(read_key_file(source));
  return {};
}

}  // namespace orch::package

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
constexpr std::string_view k_any_begin = "-----BEGIN";
constexpr std::size_t k_armour_line = 64;

// The binary form of all blocks of an armoured text; nullopt where one is damaged or has anything that others read
// otherwise: blank or padded lines, of which some end the headers elsewhere and not here, or other kinds of blocks.
std::optional<std::string> dearmoured(std::string_view text) {
  enum class Part { outside, headers, body, tail };
  Part part = Part::outside;
  std::string out;
  std::string body;
  for (std::string_view line : base::split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (part == Part::outside) {
      if (line.find(k_any_begin) == std::string_view::npos) continue;
      if (line != k_begin) return std::nullopt;
      part = Part::headers;
    } else if (part == Part::headers) {
      if (line.empty())
        part = Part::body;
      else if (base::trim(line).data() != line.data() || line.find(": ") == std::string_view::npos)
        return std::nullopt;
    } else if (line == k_end) {
      const auto bytes = base::unbase64(body);
      if (!bytes) return std::nullopt;
      out += *bytes;
      body.clear();
      part = Part::outside;
    } else if (part == Part::tail || line.empty()) {
      return std::nullopt;
    } else if (line.starts_with('=')) {
      part = Part::tail;  // the checksum
    } else {
      body += line;  // unbase64 refuses what is no digit, spaces too
    }
  }
  if (part != Part::outside) return std::nullopt;
  return out;
}

// RFC 4880, 6.1.
std::string checksum(std::string_view bytes) {
  std::uint32_t sum = 0xb704ceU;
  for (const char c : bytes) {
    sum ^= static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 16U;
    for (int bit = 0; bit < 8; ++bit) sum = (sum << 1U) ^ ((sum & 0x800000U) != 0 ? 0x1864cfbU : 0U);
  }
  std::string out;
  for (const unsigned shift : {16U, 8U, 0U}) out += static_cast<char>((sum >> shift) & 255U);
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
  std::string_view whole;
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
  packet.whole = bytes.substr(0, 1 + length->field + length->value);
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

// The binary form of a file; empty where it has none that all read alike.
std::string packets_of(std::string_view bytes) {
  // The first byte of a binary packet has its highest bit set.
  const bool is_binary = (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0;
  const bool is_text = !is_binary && bytes.find(k_any_begin) != std::string_view::npos;
  std::string out = is_text ? dearmoured(bytes).value_or("") : std::string(bytes);
  // A block in a user id, which rpmkeys would take for the key.
  return out.find(k_any_begin) == std::string::npos ? out : std::string();
}

}  // namespace

Result<std::vector<Key>> parse_key_file(const std::string& path, std::string_view bytes) {
  const auto bad = [&](std::string_view what) {
    return base::fail(ErrorKind::corrupt,
                      "'" + base::printable(path) + "' is no OpenPGP key file: " + std::string(what),
                      "name the key file of the archive in signed_by");
  };
  if (bytes.empty()) return bad("it is empty");
  const std::string binary = packets_of(bytes);
  if (binary.empty()) return bad("its text form is damaged, or not where all readers look for it");
  std::vector<Key> found;
  for (std::string_view rest = binary; !rest.empty();) {
    const std::optional<Packet> packet = take_packet(rest);
    if (!packet) return bad("it is cut short, or something else");
    if (!is_of_key(packet->tag)) return bad("it has something that belongs to no key");
    if (packet->tag == 6) {
      const auto text = fingerprint(packet->body);
      if (!text) return bad("it has a key of a version that is not known");
      found.push_back({*text, {}});
    }
    if (found.empty()) return bad("it does not begin with a key");
    found.back().packets += packet->whole;
  }
  return found;
}

std::string binary_keys(const std::vector<Key>& keys) {
  std::string out;
  for (const Key& key : keys) out += key.packets;
  return out;
}

std::string armoured_keys(const std::vector<Key>& keys) {
  std::string out;
  for (const Key& key : keys) {
    out += std::string(k_begin) + "\n\n";
    const std::string text = base::base64(key.packets);
    for (std::size_t at = 0; at < text.size(); at += k_armour_line)
      out += text.substr(at, k_armour_line) + "\n";
    out += "=" + base::base64(checksum(key.packets)) + "\n" + std::string(k_end) + "\n";
  }
  return out;
}

Result<std::vector<Key>> read_key_file(const Source& source) {
  if (source.signed_by.empty()) return std::vector<Key>();
  auto bytes = sys::read_file(source.signed_by);
  if (!bytes)
    return base::fail(base::Error(bytes.error())
                          .with_hint("install the package that has the key file (ubuntu-keyring, "
                                     "distribution-gpg-keys), or name another file in signed_by"));
  ORCH_TRY(std::vector<Key> keys, parse_key_file(source.signed_by, *bytes));
  for (const Key& key : keys) {
    if (source.fingerprints.empty() || std::find(source.fingerprints.begin(), source.fingerprints.end(),
                                                 key.fingerprint) != source.fingerprints.end())
      continue;
    return base::fail(
        ErrorKind::profile,
        "the key file '" + base::printable(source.signed_by) + "' of source '" +
            base::printable(source.name) + "' has the key " + key.fingerprint + ", expected none but " +
            base::join(source.fingerprints, ", "),
        "name the archive's real key file in signed_by; if the key is the archive's too, add it to "
        "fingerprints");
  }
  return keys;
}

}  // namespace orch::package

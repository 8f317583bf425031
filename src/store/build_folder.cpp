#include "store/build_folder.hpp"

#include "format/json.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

namespace orch::store {

using base::Value;

namespace {

std::optional<model::Stamp> parse_stamp(const std::string& path) {
  const Result<std::string> text = sys::read_file(path);
  if (!text) return std::nullopt;
  const Result<Value> value = format::parse_json(*text, path);
  if (!value) return std::nullopt;
  Result<model::Stamp> stamp = model::stamp_from_value(*value, path);
  if (!stamp) return std::nullopt;
  return std::move(*stamp);
}

}  // namespace

Result<> BuildFolder::prepare() const {
  for (const char* folder : {"/steps", "/stamps", "/logs"}) ORCH_CHECK(sys::make_dirs(path_ + folder));
  return {};
}

Result<std::optional<sys::FileLock>> BuildFolder::lock(sys::FileLock::Wait wait) const {
  return sys::FileLock::acquire(path_ + "/lock", wait);
}

BuildFolder::StampFile BuildFolder::read_stamp(const std::string& id) const {
  StampFile out;
  const std::string path = stamp_path(id);
  if (!sys::exists(path)) return out;
  out.stamp = parse_stamp(path);
  // Foreign: a stamp that says it belongs to another step.
  if (out.stamp && out.stamp->id != id) out.stamp.reset();
  out.state = out.stamp ? StampState::present : StampState::torn;
  return out;
}

std::optional<model::Stamp> BuildFolder::last_stamp(const std::string& id) const {
  if (std::optional<model::Stamp> stamp = parse_stamp(stamp_path(id))) return stamp;
  return parse_stamp(stamp_path(id) + ".prev");
}

Result<bool> BuildFolder::write_stamp(const model::Stamp& stamp) const {
  return sys::write_if_changed(stamp_path(stamp.id),
                               format::to_json(model::to_value(stamp), format::JsonStyle::compact));
}

Result<> BuildFolder::set_stamp_aside(const std::string& id) const {
  const std::string path = stamp_path(id);
  if (!sys::exists(path)) return {};
  return sys::rename_file(path, path + ".prev");
}

Result<bool> BuildFolder::write_spec(const model::StepSpec& spec) const {
  return sys::write_if_changed(spec_path(spec.id), format::to_json(model::to_value(spec)));
}

BuildFolder::Index BuildFolder::read_index() const {
  Index index;
  const Result<std::string> text = sys::read_file(path_ + "/index.json");
  if (!text) return index;
  const Result<Value> value = format::parse_json(*text, path_ + "/index.json");
  if (!value || !value->is_object()) return index;
  for (const Value::Member& member : value->as_object())
    if (member.value.is_string()) index.emplace(member.key, member.value.as_string());
  return index;
}

Result<> BuildFolder::write_index(const Index& index) const {
  Value value = Value::object();
  for (const auto& [slot, id] : index)
    value.as_object().push_back({slot, id, {}});  // slots are unique already
  ORCH_CHECK(sys::write_if_changed(path_ + "/index.json", format::to_json(value)));
  return {};
}

void BuildFolder::drop_unused(const std::vector<std::string>& live, const Index& index) const {
  std::set<std::string> keep(live.begin(), live.end());
  for (const auto& [slot, id] : index) keep.insert(id);
  for (const char* folder : {"/steps", "/stamps", "/logs"}) {
    const std::string path = path_ + folder;
    for (const std::string& name : sys::list_dir(path).value_or(std::vector<std::string>{})) {
      const std::string id = name.substr(0, name.find('.'));
      // ".tmp-" is what a killed writer left; the build lock is held, so nobody is writing now.
      if (!keep.contains(id) || name.find(".tmp-") != std::string::npos)
        ::unlink((path + "/" + name).c_str());
    }
  }
}

Result<model::StepSpec> read_spec(const std::string& path) {
  ORCH_TRY(const std::string text, sys::read_file(path));
  ORCH_TRY(const Value value, format::parse_json(text, path));
  return model::spec_from_value(value, path);
}

}  // namespace orch::store

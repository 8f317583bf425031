#include "evidence/run_diff.hpp"

#include "base/text.hpp"
#include "evidence/redact.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <set>

namespace orch::evidence {

namespace {

// What differs between any two runs and says nothing of either.
struct IgnoreRule {
  std::string_view field;
  std::string_view reason;
};
constexpr std::array k_ignored = {
    IgnoreRule{"report.started", "when it ran"},
    IgnoreRule{"report.ended", "when it ran"},
    IgnoreRule{"inputs.started", "when it ran"},
    IgnoreRule{"report.phases", "how long it took"},
    IgnoreRule{"report.pid", "another process each time"},
    IgnoreRule{"report.boot_id", "another one since each start of the machine"},
    IgnoreRule{"inputs.host.boot_id", "another one since each start of the machine"},
    IgnoreRule{"inputs.discovery", "what was taken is among the tools and images"},
    IgnoreRule{"report.log.bytes", "what an application says varies; compare the logs themselves"},
    IgnoreRule{"inputs.paths.evidence", "each run has a directory of its own"},
    IgnoreRule{"inputs.profile.verbatim", "layout and comments; profile.expanded has the meaning"},
    IgnoreRule{"inputs.environment._", "the shell's own"},
    IgnoreRule{"inputs.environment.SHLVL", "the shell's own"},
    IgnoreRule{"inputs.environment.OLDPWD", "the shell's own"},
    IgnoreRule{"inputs.environment.INVOCATION_ID", "another one for each start of a service"},
    IgnoreRule{"inputs.environment.JOURNAL_STREAM", "another one for each start of a service"},
    IgnoreRule{"inputs.environment.SYSTEMD_EXEC_PID", "another one for each start of a service"},
};

// A difference in or below `field` is no news where `of` differs, too ("[]": any item of a list):
//  any: in or below it; same_rest: the same name below it; same_values: with the same two values;
//  whole: `field` itself is gone or new altogether; same_item: the member `of` of the same object.
struct RepeatRule {
  std::string_view field;
  std::string_view of;
  enum class Where { any, same_rest, same_values, whole, same_item } where = Where::any;
};
constexpr std::array k_repeats = {
    RepeatRule{"inputs.command.env", "report.environment", RepeatRule::Where::same_rest},
    RepeatRule{"inputs.launch.environment", "report.environment", RepeatRule::Where::same_rest},
    RepeatRule{"inputs.profile.expanded.app.env", "report.environment", RepeatRule::Where::same_rest},
    RepeatRule{"inputs.environment", "report.environment", RepeatRule::Where::same_rest},
    RepeatRule{"inputs.guest.environment", "report.environment", RepeatRule::Where::same_rest},
    RepeatRule{"inputs.guest.environment", "inputs.environment", RepeatRule::Where::same_rest},
    RepeatRule{"inputs.guest.environment.MESA_LOADER_DRIVER_OVERRIDE", "inputs.launch.gpu_mode"},
    RepeatRule{"inputs.launch.args", "report.argv"},
    RepeatRule{"inputs.profile.expanded.app.args", "report.argv"},
    RepeatRule{"inputs.launch.muvm_args", "report.argv"},
    RepeatRule{"inputs.profile.expanded.launch.muvm_args", "report.argv"},
    RepeatRule{"inputs.command.images", "report.images"},
    RepeatRule{"inputs.launch.images", "report.images"},
    RepeatRule{"inputs.manifests[]", "report.images", RepeatRule::Where::whole},
    RepeatRule{"inputs.manifests[].image", "report.images"},
    RepeatRule{"inputs.manifests[].sha256", "report.images"},
    RepeatRule{"inputs.manifests[].content.image", "report.images"},
    RepeatRule{"inputs.manifests[].content.tree", "report.images"},
    RepeatRule{"inputs.manifests[].content.layers", "report.images"},
    RepeatRule{"inputs.manifests[].content.entries", "report.images"},
    RepeatRule{"inputs.manifests[].content.from", "report.images"},
    RepeatRule{"inputs.manifests[].content.to", "report.images"},
    RepeatRule{"inputs.manifests[].content.packages[].sha256", "version", RepeatRule::Where::same_item},
    RepeatRule{"inputs.manifests[].content.packages[].size", "sha256", RepeatRule::Where::same_item},
    RepeatRule{"inputs.manifests[].content.packages[].files", "sha256", RepeatRule::Where::same_item},
    RepeatRule{"inputs.manifests[].content.packages[].bytes", "sha256", RepeatRule::Where::same_item},
    RepeatRule{"inputs.manifests[].content.provided", "inputs.manifests[].content.packages"},
    RepeatRule{"inputs.manifests[].content.parts", "report.images"},
    RepeatRule{"report.checks[images].detail", "report.images"},
    RepeatRule{"report.checks[gpu-mode].detail", "inputs.launch.gpu_mode"},
    RepeatRule{"inputs.profile.expanded.layers", "inputs.profile.expanded.stack"},
    RepeatRule{"inputs.command.launcher", "report.launcher"},
    RepeatRule{"inputs.launch.launcher", "report.launcher"},
    RepeatRule{"inputs.profile.expanded.launch.launcher", "report.launcher"},
    RepeatRule{"inputs.launch.appimage_sha256", "report.app.sha256"},
    RepeatRule{"inputs.launch.appdir", "report.app.sha256"},
    RepeatRule{"inputs.launch.appimage", "report.app.path"},
    RepeatRule{"inputs.profile.expanded.app.appimage", "report.app.path"},
    RepeatRule{"inputs.launch.app", "report.profile"},
    RepeatRule{"inputs.profile.name", "report.profile"},
    RepeatRule{"inputs.profile.expanded.name", "report.profile"},
    RepeatRule{"inputs.launch.muvm", "inputs.tools[muvm]"},
    RepeatRule{"inputs.profile.expanded.launch.muvm", "inputs.tools[muvm]"},
    RepeatRule{"inputs.profile.expanded.launch.gpu_mode", "inputs.launch.gpu_mode"},
    RepeatRule{"inputs.launch.gpu_mode_reason", "inputs.launch.gpu_mode"},
    RepeatRule{"inputs.profile.expanded.launch.vm", "inputs.launch.vm"},
    RepeatRule{"inputs.profile.expanded.launch.guest_pre", "inputs.launch.guest_pre"},
    RepeatRule{"inputs.profile.expanded.launch.timeout", "inputs.launch.timeout_ms"},
    RepeatRule{"inputs.profile.expanded.launch.timeout_ms", "inputs.launch.timeout_ms"},
    RepeatRule{"inputs.profile.expanded.launch.timeout", "inputs.profile.expanded.launch.timeout_ms"},
    RepeatRule{"inputs.launch.directory", "inputs.paths.directory"},
    RepeatRule{"inputs.tool_version", "report.tool_version"},
    RepeatRule{"report.exit_status", "report.status", RepeatRule::Where::same_values},
    RepeatRule{"report.exit_status", "report.signal"},
    RepeatRule{"report.raw.status", "report.status", RepeatRule::Where::same_values},
    RepeatRule{"report.raw.signal", "report.signal", RepeatRule::Where::same_values},
};

// Values that other values contain. Where both runs have one, and it differs, it counts in other texts as the same word.
constexpr std::array<std::string_view, 7> k_places = {
    "inputs.launch.appdir", "report.app.path",       "inputs.paths.directory",  "inputs.paths.cache",
    "inputs.paths.profile", "inputs.paths.evidence", "inputs.environment.HOME",
};

// What comes behind `pattern` in the field's name; nullopt where it does not begin so.
std::optional<std::string_view> behind(std::string_view field, std::string_view pattern) {
  for (std::size_t any = pattern.find("[]"); any != std::string_view::npos; any = pattern.find("[]")) {
    const std::string_view list = pattern.substr(0, any + 1);
    const std::size_t close = field.starts_with(list) ? field.find(']', list.size()) : std::string_view::npos;
    if (close == std::string_view::npos) return std::nullopt;
    field.remove_prefix(close + 1);
    pattern.remove_prefix(any + 2);
  }
  if (!field.starts_with(pattern)) return std::nullopt;
  field.remove_prefix(pattern.size());
  return field;
}

bool is_within(std::string_view field, std::string_view of) {
  const std::optional<std::string_view> rest = behind(field, of);
  return rest && (rest->empty() || rest->front() == '.' || rest->front() == '[');
}

struct PathPair {
  std::string_view field;
  std::string a;
  std::string b;
};

// `text` with the path `place` in it, and what follows it below that path, replaced by a word.
std::string with_word(const std::string& text, const std::string& place, std::string_view word) {
  constexpr std::string_view k_before = ":=,;\"' \n";
  constexpr std::string_view k_after = "/:,;\"' \n";
  std::string out;
  std::size_t done = 0;
  for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at + 1)) {
    if (at < done) continue;
    const std::size_t end = at + place.size();
    const bool begins = at == 0 || k_before.find(text[at - 1]) != std::string_view::npos;
    const bool ends = end == text.size() || k_after.find(text[end]) != std::string_view::npos;
    if (!begins || !ends) continue;
    out += text.substr(done, at - done);
    out += word;
    done = end;
  }
  return out + text.substr(done);
}

class Places {
 public:
  Places(const Value& a, const Value& b) {
    for (const std::string_view field : k_places) {
      const Value* in_a = a.find_path(field);
      const Value* in_b = b.find_path(field);
      if (in_a == nullptr || in_b == nullptr || !is_path(*in_a) || !is_path(*in_b) || *in_a == *in_b)
        continue;
      all_.push_back({field, in_a->as_string(), in_b->as_string()});
    }
  }
  bool same(const std::string& field, const std::string& a, const std::string& b) const {
    return !all_.empty() && replaced(field, a, &PathPair::a) == replaced(field, b, &PathPair::b);
  }

 private:
  static bool is_path(const Value& value) {
    return value.is_string() && value.as_string().size() > 1 && value.as_string()[0] == '/';
  }
  // Longer places first: one may lie in another. The field that a place is from is not measured by itself.
  std::string replaced(const std::string& field, std::string text, std::string PathPair::*side) const {
    std::vector<const PathPair*> order;
    for (const PathPair& place : all_)
      if (place.field != field) order.push_back(&place);
    std::stable_sort(order.begin(), order.end(), [side](const PathPair* x, const PathPair* y) {
      return (x->*side).size() > (y->*side).size();
    });
    for (const PathPair* place : order)
      text = with_word(text, place->*side, fmt::format("\1{}\1", place->field));
    return text;
  }
  std::vector<PathPair> all_;
};

// ---- the command line

struct Word {
  std::size_t index = 0;  // in the whole command line
  std::string text;       // as it is
  std::string compared;   // without what other fields say
};

bool is_variable(const Value* environment, std::string_view assignment) {
  const std::size_t equals = assignment.find('=');
  if (environment == nullptr || equals == std::string_view::npos) return false;
  const Value* value = environment->find(assignment.substr(0, equals));
  return value != nullptr && value->is_string() && value->as_string() == assignment.substr(equals + 1);
}

// Variables that muvm cannot carry are lines of its shell script.
std::string without_exports(const std::string& text, const Value* environment) {
  constexpr std::string_view k_export = "export ";
  if (environment == nullptr || text.find(k_export) == std::string::npos) return text;
  std::vector<std::string> kept;
  for (const std::string_view line : base::split(text, '\n')) {
    const std::string_view name = line.substr(0, line.find('='));
    const bool exported =
        line.starts_with(k_export) && environment->find(name.substr(k_export.size())) != nullptr;
    if (!exported) kept.emplace_back(line);
  }
  return base::join(kept, "\n");
}

const Value* argv_of(const Value& run) {
  const Value* argv = run.find_path("report.argv");
  if (argv == nullptr || !argv->is_array() || argv->as_array().empty())
    argv = run.find_path("inputs.command.argv");
  return argv != nullptr && argv->is_array() ? argv : nullptr;
}

// The paths of the images and of muvm, which are compared as what they are.
std::set<std::string> known_paths(const Value& run) {
  std::set<std::string> out;
  for (const char* field : {"report.images", "inputs.tools"})
    if (const Value* list = run.find_path(field); list != nullptr && list->is_array())
      for (const Value& item : list->as_array()) out.insert(item.string_or("path", ""));
  return out;
}

std::vector<Word> essential_words(const Value& run) {
  std::vector<Word> out;
  const Value* argv = argv_of(run);
  if (argv == nullptr) return out;
  const Value* environment = run.find_path("report.environment");
  const Value* launch = run.find_path("inputs.launch");
  const std::string mode = launch != nullptr ? launch->string_or("gpu_mode", "") : "";
  const std::set<std::string> paths = known_paths(run);
  std::vector<std::string> words;
  for (const Value& word : argv->as_array())
    words.push_back(word.is_string() ? word.as_string() : word.canonical());
  const Value* launcher = run.find_path("report.launcher");
  const bool is_muvm = launcher != nullptr && launcher->is_string() && launcher->as_string() == "muvm";
  bool options = is_muvm;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    options = options && word != "--";
    const bool pair = options && i + 1 < words.size();
    if (pair && ((word == "-e" && is_variable(environment, words[i + 1])) ||
                 (word == "-f" && paths.count(words[i + 1]) != 0))) {
      ++i;
      continue;
    }
    if (options && ((i == 0 && paths.count(word) != 0) || (!mode.empty() && word == "--gpu-mode=" + mode)))
      continue;
    out.push_back({i, word, is_muvm ? without_exports(word, environment) : word});
  }
  return out;
}

std::vector<Difference> compare_words(const Value& a, const Value& b, const SameText& same) {
  const std::string field = "report.argv";
  const std::vector<Word> words_a = essential_words(a);
  const std::vector<Word> words_b = essential_words(b);
  const auto equal = [&](std::size_t i, std::size_t j) {
    return words_a[i].compared == words_b[j].compared ||
           same(field, words_a[i].compared, words_b[j].compared);
  };
  std::vector<Difference> out;
  for (const Misfit& misfit : align(words_a.size(), words_b.size(), equal))
    out.push_back(
        {fmt::format("{}[{}]", field, misfit.a ? words_a[*misfit.a].index : words_b[*misfit.b].index),
         misfit.a ? Value(words_a[*misfit.a].text) : Value(),
         misfit.b ? Value(words_b[*misfit.b].text) : Value()});
  return out;
}

// ---- the whole

Value documents(const Run& run) {
  Value report = run.report;
  if (run.summary.state == RunState::killed) report.set("outcome", run.summary.outcome);
  return Value::object({{"report", std::move(report)}, {"inputs", run.inputs}});
}

void erase_words(Value& run) {
  if (Value* report = run.find("report")) report->erase("argv");
  Value* inputs = run.find("inputs");
  Value* command = inputs != nullptr ? inputs->find("command") : nullptr;
  if (command != nullptr && command->is_object()) command->erase("argv");
}

// "list[x].name" of "list[x].other".
std::string beside(const std::string& field, std::string_view name) {
  return field.substr(0, field.rfind('.') + 1) + std::string(name);
}

bool says_again(const Difference& difference, const RepeatRule& rule, const Difference& other) {
  if (!is_within(difference.field, rule.field)) return false;
  if (rule.where == RepeatRule::Where::same_item) return other.field == beside(difference.field, rule.of);
  if (!is_within(other.field, rule.of)) return false;
  switch (rule.where) {
    case RepeatRule::Where::any:
    case RepeatRule::Where::same_item:
      return true;
    case RepeatRule::Where::same_rest:
      return behind(difference.field, rule.field) == behind(other.field, rule.of);
    case RepeatRule::Where::whole:
      return behind(difference.field, rule.field) == std::string_view();
    case RepeatRule::Where::same_values:
      return difference.a == other.a && difference.b == other.b;
  }
  return false;
}

bool is_repeat(const Difference& difference, const std::vector<Difference>& all) {
  return std::any_of(k_repeats.begin(), k_repeats.end(), [&](const RepeatRule& rule) {
    return std::any_of(all.begin(), all.end(),
                       [&](const Difference& other) { return says_again(difference, rule, other); });
  });
}

const IgnoreRule* ignore_rule(const std::string& field) {
  const auto found = std::find_if(k_ignored.begin(), k_ignored.end(),
                                  [&](const IgnoreRule& rule) { return is_within(field, rule.field); });
  return found == k_ignored.end() ? nullptr : &*found;
}

// ---- images

constexpr std::string_view k_image = "report.images[";

// "report.images[NAME]" of a difference inside of it; empty for others.
std::string image_of(const Difference& difference) {
  const std::size_t end = difference.field.rfind("].");
  return difference.field.starts_with(k_image) && end != std::string::npos
             ? difference.field.substr(0, end + 1)
             : std::string();
}

// The item of the run's list that has the values of this side; null where there is none.
Value image_with(const Value& run, const std::string& image, const std::vector<Difference>& members,
                 Value Difference::*side) {
  const Value* images = run.find_path("report.images");
  if (images == nullptr || !images->is_array()) return {};
  for (const Value& item : images->as_array()) {
    const std::string role = std::string(k_image) + item.string_or("role", "");
    const bool named = image == role + "]" || image.starts_with(role + " ");  // "NAME 2"
    if (named && std::all_of(members.begin(), members.end(), [&](const Difference& member) {
          const Value* value = item.find(std::string_view(member.field).substr(image.size() + 1));
          return (value != nullptr ? *value : Value()) == member.*side;
        }))
      return item;
  }
  return {};
}

// Another content mostly comes with another path: an image of which both differ is one difference, as one that is gone.
void join_images(std::vector<Difference>& all, const Value& a, const Value& b) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string image = image_of(all[i]);
    if (image.empty()) continue;
    std::vector<Difference> members;
    std::copy_if(all.begin(), all.end(), std::back_inserter(members),
                 [&](const Difference& other) { return image_of(other) == image; });
    if (members.size() == 1) continue;
    const Difference whole = {image, image_with(a, image, members, &Difference::a),
                              image_with(b, image, members, &Difference::b)};
    if (whole.a.is_null() || whole.b.is_null()) continue;
    all.erase(std::remove_if(all.begin(), all.end(),
                             [&](const Difference& other) { return image_of(other) == image; }),
              all.end());
    all.insert(all.begin() + static_cast<std::ptrdiff_t>(i), whole);
  }
}

}  // namespace

RunDiff diff_runs(const Run& a, const Run& b, DiffScope scope) {
  Value all_a = documents(a);
  Value all_b = documents(b);
  RunDiff out;
  if (scope == DiffScope::everything) {
    out.differences = compare(all_a, all_b, "", only_equal);
    return out;
  }
  const Places places(all_a, all_b);
  const SameText same = [&places](const std::string& field, const std::string& x, const std::string& y) {
    return places.same(field, x, y);
  };
  std::vector<Difference> all = compare_words(all_a, all_b, same);
  erase_words(all_a);
  erase_words(all_b);
  std::vector<Difference> rest = compare(all_a, all_b, "", same);
  all.insert(all.end(), std::make_move_iterator(rest.begin()), std::make_move_iterator(rest.end()));
  for (const Difference& difference : all) {
    if (const IgnoreRule* rule = ignore_rule(difference.field))
      out.ignored.push_back({difference.field, std::string(rule->reason)});
    else if (!is_repeat(difference, all))
      out.differences.push_back(difference);
  }
  join_images(out.differences, all_a, all_b);
  return out;
}

Value to_value(const RunDiff& diff, const std::string& a, const std::string& b) {
  Value differences = Value::array();
  for (const Difference& difference : diff.differences)
    differences.push(Value::object({{"field", difference.field}, {"a", difference.a}, {"b", difference.b}}));
  Value ignored = Value::array();
  for (const Ignored& item : diff.ignored) ignored.push(item.field);
  return redact(Value::object({{"schema", "appimage-orch/diff/1"},
                               {"a", a},
                               {"b", b},
                               {"differences", std::move(differences)},
                               {"ignored", std::move(ignored)}}));
}

}  // namespace orch::evidence

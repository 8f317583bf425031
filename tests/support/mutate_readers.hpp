// Damaged headers, lists and texts for the readers of src/package that hold no whole package: which one is said by
// the file's name.
//   *.rpm, *.deb          headers and names (a package of a folder)
//   primary.xml, .gz, …   the list of an RPM repository
//   *.control             control data of Debian packages
//   *.json                FEX's list of images
//   *.gpg, *.asc          key files
//   *.uris, *.policy      what apt-get and apt-cache print
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace orch::test {

// Damages COUNT times one of the files and reads it, in `directory`. Prints {"KIND": {"opened", "refused"}}, where KIND
// is the ending of the name; fails where an error is of a kind that damage cannot have, or what was accepted is not
// safe to use. The seed of the one at work is on standard error; an alarm ends what hangs.
base::Result<int> mutate_readers(std::uint64_t seed, int count, const std::string& directory,
                                 const std::vector<std::string>& paths);

}  // namespace orch::test

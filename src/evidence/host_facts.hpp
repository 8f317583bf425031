// What inputs.json says of the machine.
#pragma once

#include "base/value.hpp"

namespace orch::evidence {

// {"kernel","machine","os","page_size","cpus","memory_bytes","boot_id","soc","gpu_drivers"}; what cannot be read is
// null.
base::Value host_facts();

}  // namespace orch::evidence

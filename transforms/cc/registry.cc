#include "transforms/cc/registry.h"

#include <string>
#include <vector>

namespace imprinting {

std::vector<std::string> TransformNames() {
  std::vector<std::string> names;
  for (const auto& [name, transform] : *tensorflow::graph_transforms::GetTransformRegistry()) {
    names.push_back(name);
  }
  return names;
}

}  // namespace imprinting

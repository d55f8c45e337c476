// What the TensorFlow library exports of its graph transforms, whose headers its wheel lacks.

#ifndef TRANSFORMS_CC_REGISTRY_H_
#define TRANSFORMS_CC_REGISTRY_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace tensorflow::graph_transforms {

// A transform's parameters: each has the values that it was given, in their order.
using TransformFuncParameters = std::map<std::string, std::vector<std::string>>;

// Transforms by name, in the order in which to apply them.
using TransformParameters = std::vector<std::pair<std::string, TransformFuncParameters>>;

struct TransformFuncContext {
  std::vector<std::string> input_names;
  std::vector<std::string> output_names;
  TransformFuncParameters params;
};

using TransformFunc =
    std::function<absl::Status(const GraphDef&, const TransformFuncContext&, GraphDef*)>;

std::map<std::string, TransformFunc>* GetTransformRegistry();

absl::Status ParseTransformParameters(const std::string& transforms, TransformParameters* parsed);

// What each transform does with its parameter ignore_errors.
absl::Status ShouldIgnoreErrors(const TransformFuncParameters& parameters, bool* ignore_errors);

absl::Status IsGraphValid(const GraphDef& graph);

}  // namespace tensorflow::graph_transforms

namespace imprinting {

// The names in TensorFlow's registry, sorted.
std::vector<std::string> TransformNames();

}  // namespace imprinting

#endif  // TRANSFORMS_CC_REGISTRY_H_

#include "transforms/cc/transform.h"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/platform/logging.h"
#include "transforms/cc/attribute_check.h"
#include "transforms/cc/fold_l2_norm.h"
#include "transforms/cc/import_check.h"
#include "transforms/cc/nodes.h"
#include "transforms/cc/parameters.h"
#include "transforms/cc/preconditions.h"
#include "transforms/cc/registry.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;
using tensorflow::graph_transforms::TransformFuncContext;
using tensorflow::graph_transforms::TransformFuncParameters;
using tensorflow::graph_transforms::TransformParameters;

// The size from which a constant is worth setting aside.
constexpr size_t kLargeBytes = 1 << 16;

constexpr char kFoldL2Norm[] = "fold_l2_norm";

// The ops that have quantisation ranges.
const std::vector<std::string>& FakeQuantOps() {
  static const auto& ops = *new std::vector<std::string>{
      "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel",
      "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4"};
  return ops;
}

TransformFuncParameters WithDefaults(const std::string& name, TransformFuncParameters parameters,
                                     bool fold_fake_quant) {
  if (name != "fold_constants" || fold_fake_quant) return parameters;
  auto& excluded = parameters["exclude_op"];
  excluded.insert(excluded.end(), FakeQuantOps().begin(), FakeQuantOps().end());
  // By default, it silently does not fold larger constants than 10 MiB.
  if (parameters.count("max_constant_size_in_bytes") == 0) {
    parameters["max_constant_size_in_bytes"] = {absl::StrCat(kMaxTensorBytes)};
  }
  return parameters;
}

// Writes "y:0" as "y", the only form that most transforms know.
std::vector<std::string> Canonical(const std::vector<std::string>& names) {
  std::vector<std::string> canonical;
  for (const std::string& name : names) {
    canonical.push_back(absl::EndsWith(name, ":0") ? std::string(NodeName(name)) : name);
  }
  return canonical;
}

// The values of constants by the names of their nodes.
using Values = absl::flat_hash_map<std::string, tensorflow::TensorProto>;

// Removes large values that the transform does not read from the graph, and returns them: the
// transform would copy them several times. Zeros of the same type and shape take their place.
Values SetAside(const std::string& transform, const TransformFuncContext& context,
                GraphDef* graph) {
  Values values;
  absl::flat_hash_set<absl::string_view> read;
  if (transform == "fold_constants") {
    // It does not read the inputs of nodes that it does not compute.
    absl::flat_hash_set<std::string> excluded;
    if (const auto found = context.params.find("exclude_op"); found != context.params.end()) {
      excluded.insert(found->second.begin(), found->second.end());
    }
    for (const NodeDef& node : graph->node()) {
      if (excluded.contains(node.op())) continue;
      for (const std::string& input : node.input()) read.insert(NodeName(input));
    }
    for (const auto& names : {context.input_names, context.output_names}) {
      for (const std::string& name : names) read.insert(NodeName(name));
    }
  } else if (transform != "strip_unused_nodes") {
    return values;
  }
  for (NodeDef& node : *graph->mutable_node()) {
    if (node.op() != "Const" || read.contains(node.name())) continue;
    const auto value = node.mutable_attr()->find("value");
    if (value == node.mutable_attr()->end()) continue;
    const tensorflow::TensorProto& tensor = value->second.tensor();
    if (tensor.tensor_content().size() < kLargeBytes) continue;
    tensorflow::TensorProto& zeros = values[node.name()];
    zeros.set_dtype(tensor.dtype());
    *zeros.mutable_tensor_shape() = tensor.tensor_shape();
    zeros.Swap(value->second.mutable_tensor());
  }
  return values;
}

void PutBack(Values values, GraphDef* graph) {
  for (NodeDef& node : *graph->mutable_node()) {
    const auto value = values.find(node.name());
    // strip_unused_nodes turns a constant that is an input into a placeholder.
    if (value == values.end() || node.op() != "Const") continue;
    (*node.mutable_attr())["value"].mutable_tensor()->Swap(&value->second);
  }
}

// Applies a transform of the registry. If it fails, the graph is as it was.
absl::Status ApplyRegistered(const std::string& name, const TransformFuncContext& context,
                             GraphDef* graph) {
  std::vector<std::string> names;
  for (const NodeDef& node : graph->node()) names.push_back(node.name());
  Values values = SetAside(name, context, graph);
  GraphDef transformed;
  const absl::Status status =
      tensorflow::graph_transforms::GetTransformRegistry()->at(name)(*graph, context, &transformed);
  if (status.ok()) {
    // Transforms do not copy functions.
    transformed.mutable_library()->Swap(graph->mutable_library());
    graph->Swap(&transformed);
    // Both keep the order of the nodes.
    if (name == "rename_node" || name == "obfuscate_names") FollowRenaming(names, graph);
  }
  PutBack(std::move(values), graph);
  return status;
}

// As TensorFlow's TransformGraph for one transform, with fewer copies of the graph.
absl::Status Apply(const std::string& name, const TransformFuncContext& context, GraphDef* graph) {
  bool ignore_errors = false;
  TF_RETURN_IF_ERROR(
      tensorflow::graph_transforms::ShouldIgnoreErrors(context.params, &ignore_errors));
  const absl::Status status =
      name == kFoldL2Norm ? FoldL2Norm(context, graph) : ApplyRegistered(name, context, graph);
  // TensorFlow returns NotFound not only for files, but also for unknown ops and attributes.
  if (absl::IsNotFound(status) && !ReadsFiles(name) && !ignore_errors) {
    return Invalid(status.message());
  }
  if (!status.ok() && !ignore_errors) return status;
  if (!status.ok()) LOG(ERROR) << name << ": ignored the error: " << status.message();
  RemoveDangling(graph);
  return tensorflow::graph_transforms::IsGraphValid(*graph);
}

}  // namespace

void RegisterTransforms() {
  (*tensorflow::graph_transforms::GetTransformRegistry())[kFoldL2Norm] =
      [](const GraphDef& graph, const TransformFuncContext& context, GraphDef* folded) {
        *folded = graph;
        return FoldL2Norm(context, folded);
      };
}

absl::StatusOr<TransformParameters> ParseTransforms(const std::string& text) {
  const auto parse = [](const std::string& text, TransformParameters* parsed) {
    return tensorflow::graph_transforms::ParseTransformParameters(text, parsed);
  };
  TransformParameters parsed;
  if (absl::Status status = parse(text, &parsed); !status.ok()) {
    return Invalid("expected transforms as NAME(PARAMETER=VALUE, …) NAME …, got \"",
                   absl::CHexEscape(text), "\": ", absl::CHexEscape(status.message()));
  }
  // The parser ignores a last transform without ")". With the ")" added, it finds one more.
  for (const char* end : {")", "value)"}) {
    TransformParameters closed;
    if (parse(text + end, &closed).ok() && closed.size() > parsed.size()) {
      return Invalid("expected a ) at the end of transform ", closed.back().first, ", got \"",
                     absl::CHexEscape(text), "\"");
    }
  }
  for (const auto& [name, parameters] : parsed) {
    TF_RETURN_IF_ERROR(CheckTransform(name, parameters));
  }
  return parsed;
}

absl::Status Transform(GraphDef* graph, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs,
                       const TransformParameters& transforms, bool fold_fake_quant) {
  if (transforms.empty()) {
    return Invalid("expected a transform, got none; there are ",
                   absl::StrJoin(TransformNames(), ", "));
  }
  if (outputs.empty()) return Invalid("expected the names of outputs, got none");
  for (const auto& [name, parameters] : transforms) {
    TF_RETURN_IF_ERROR(CheckTransform(name, parameters));
  }
  for (const auto& [name, given] : transforms) {
    // Before each, because the result of one transform may not be valid for the next.
    TF_RETURN_IF_ERROR(CheckPreconditions(*graph, inputs, outputs, name));
    const absl::Status status = Apply(
        name, {Canonical(inputs), Canonical(outputs), WithDefaults(name, given, fold_fake_quant)},
        graph);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
    }
  }
  return CheckImport(graph);
}

}  // namespace imprinting

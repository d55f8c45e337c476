#include "transforms/transform.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "transforms/fold_l2_norm.h"
#include "transforms/graph_check.h"
#include "transforms/preconditions.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::graph_transforms::TransformFuncParameters;
using tensorflow::graph_transforms::TransformParameters;

// What each transform reads of its parameters: TensorFlow passes over others in silence.
const std::map<std::string, std::set<std::string>>& KnownParameters() {
  static const auto& known = *new std::map<std::string, std::set<std::string>>{
      {"fold_constants",
       {"clear_output_shapes", "exclude_node", "exclude_op", "max_constant_size_in_bytes"}},
      {"freeze_requantization_ranges", {"max_percentile", "min_max_log_file", "min_percentile"}},
      {"insert_logging",
       {"first_n", "message", "op", "prefix", "show_name", "show_op", "summarize"}},
      {"quantize_nodes", {"fallback_max", "fallback_min", "input_max", "input_min"}},
      {"quantize_placeholders", {"input_max", "input_min"}},
      {"quantize_weights", {"minimum_size"}},
      {"remove_attribute", {"attribute_name", "op_name"}},
      {"remove_nodes", {"max_inputs", "op"}},
      {"rename_attribute", {"new_attribute_name", "old_attribute_name", "op_name"}},
      {"rename_node", {"new_node_name", "old_node_name"}},
      {"rename_op", {"new_op_name", "old_op_name"}},
      {"round_weights", {"num_steps"}},
      {"set_device", {"device", "if_default"}},
      {"sparsify_gather", {"group_init_node", "input_checkpoint"}},
      {"strip_unused_nodes", {"name", "shape", "shape_for_name", "type", "type_for_name"}},
  };
  return known;
}

// Every transform takes this one: whether to go on without it where it fails.
constexpr char kIgnoreErrors[] = "ignore_errors";

// The ops that hold quantisation ranges.
const std::vector<std::string>& FakeQuantOps() {
  static const auto& ops = *new std::vector<std::string>{
      "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel",
      "QuantizeAndDequantizeV2", "QuantizeAndDequantizeV3", "QuantizeAndDequantizeV4"};
  return ops;
}

absl::Status CheckTransform(const std::string& name, const TransformFuncParameters& parameters) {
  const auto& registry = *tensorflow::graph_transforms::GetTransformRegistry();
  if (registry.count(name) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("there is no transform \"",
                                                   absl::CHexEscape(name), "\"; there are ",
                                                   absl::StrJoin(TransformNames(), ", ")));
  }
  const auto known = KnownParameters().find(name);
  for (const auto& [parameter, values] : parameters) {
    if (parameter == kIgnoreErrors) continue;
    if (known == KnownParameters().end()) {
      return absl::InvalidArgumentError(absl::StrCat("transform ", name, " has no parameter \"",
                                                     absl::CHexEscape(parameter),
                                                     "\"; it has only ", kIgnoreErrors));
    }
    if (known->second.count(parameter) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("transform ", name, " has no parameter \"", absl::CHexEscape(parameter),
                       "\"; it has ", absl::StrJoin(known->second, ", "), " and ", kIgnoreErrors));
    }
  }
  return absl::OkStatus();
}

TransformFuncParameters WithDefaults(const std::string& name, TransformFuncParameters parameters,
                                     bool fold_fake_quant) {
  if (name != "fold_constants" || fold_fake_quant) return parameters;
  auto& excluded = parameters["exclude_op"];
  excluded.insert(excluded.end(), FakeQuantOps().begin(), FakeQuantOps().end());
  // What is larger than 10 MiB would be left as it is, without a word.
  if (parameters.count("max_constant_size_in_bytes") == 0) {
    parameters["max_constant_size_in_bytes"] = {absl::StrCat(kMaxTensorBytes)};
  }
  return parameters;
}

// "y:0" and "y" are the same; most transforms know the second form alone.
std::vector<std::string> Canonical(const std::vector<std::string>& names) {
  std::vector<std::string> canonical;
  for (const std::string& name : names) {
    canonical.push_back(absl::EndsWith(name, ":0") ? std::string(NodeName(name)) : name);
  }
  return canonical;
}

}  // namespace

void RegisterTransforms() {
  (*tensorflow::graph_transforms::GetTransformRegistry())["fold_l2_norm"] = FoldL2Norm;
}

std::vector<std::string> TransformNames() {
  std::vector<std::string> names;
  for (const auto& [name, transform] : *tensorflow::graph_transforms::GetTransformRegistry()) {
    names.push_back(name);
  }
  return names;
}

absl::StatusOr<TransformParameters> ParseTransforms(const std::string& text) {
  const auto parse = [](const std::string& text, TransformParameters* parsed) {
    return tensorflow::graph_transforms::ParseTransformParameters(text, parsed);
  };
  TransformParameters parsed;
  if (absl::Status status = parse(text, &parsed); !status.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected transforms as NAME(PARAMETER=VALUE, …) NAME …, got \"",
                     absl::CHexEscape(text), "\": ", absl::CHexEscape(status.message())));
  }
  // The parser drops a last transform without its end; with the end put there it does not.
  for (const char* end : {")", "value)"}) {
    TransformParameters closed;
    if (parse(text + end, &closed).ok() && closed.size() > parsed.size()) {
      return absl::InvalidArgumentError(absl::StrCat("expected a ) at the end of the transform ",
                                                     closed.back().first, " in \"",
                                                     absl::CHexEscape(text), "\""));
    }
  }
  for (const auto& [name, parameters] : parsed) {
    if (absl::Status status = CheckTransform(name, parameters); !status.ok()) return status;
  }
  return parsed;
}

absl::Status Transform(GraphDef* graph, const std::vector<std::string>& inputs,
                       const std::vector<std::string>& outputs,
                       const TransformParameters& transforms, bool fold_fake_quant) {
  if (transforms.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("expected a transform, got none; there are ",
                                                   absl::StrJoin(TransformNames(), ", ")));
  }
  if (outputs.empty()) {
    return absl::InvalidArgumentError("expected the names of outputs, got none");
  }
  for (const auto& [name, parameters] : transforms) {
    if (absl::Status status = CheckTransform(name, parameters); !status.ok()) return status;
  }
  for (const auto& [name, given] : transforms) {
    // Anew for each: some transforms leave a graph that the next would stumble over.
    if (absl::Status status = CheckPreconditions(*graph, inputs, outputs, name); !status.ok()) {
      return status;
    }
    const absl::Status status = tensorflow::graph_transforms::TransformGraph(
        Canonical(inputs), Canonical(outputs), {{name, WithDefaults(name, given, fold_fake_quant)}},
        graph);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(name, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace imprinting

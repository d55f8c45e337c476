#include "transforms/cc/fold_l2_norm.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"
#include "tensorflow/core/common_runtime/graph_runner.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/graph/graph.h"
#include "tensorflow/core/platform/env.h"
#include "transforms/cc/nodes.h"
#include "transforms/cc/registry.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool IsConvolution(absl::string_view op) { return op == "Conv2D" || op == "DepthwiseConv2dNative"; }

// Finds the normalised kernels of a graph.
class Finder {
 public:
  explicit Finder(const GraphDef& graph) : nodes_(IndexNodes(graph)) {}

  // The node whose output is the normalised kernel of a convolution; null if there is none.
  const NodeDef* Normalisation(const NodeDef& convolution) const {
    const NodeDef* node = Input(convolution, 1);
    // After normalisation, a kernel may be multiplied by a folded batch norm, and quantised.
    while (node != nullptr) {
      if (Normalised(*node) != nullptr) return node;
      if (node->op() == "Mul") {
        const NodeDef* left = Input(*node, 0);
        const NodeDef* right = Input(*node, 1);
        const bool is_left = left != nullptr && Normalised(*left) != nullptr;
        node = is_left ? left : right;
      } else if (node->op() == "Identity" || absl::StartsWith(node->op(), "FakeQuant")) {
        node = Input(*node, 0);
      } else {
        return nullptr;
      }
    }
    return nullptr;
  }

  // The constant or variable that the node normalises; null if it does not normalise one.
  const NodeDef* Normalised(const NodeDef& node) const {
    if (node.op() == "Mul") {
      for (int kernel : {0, 1}) {
        const NodeDef* inverse = Skip(Input(node, 1 - kernel));
        if (inverse == nullptr || inverse->op() != "Rsqrt") continue;
        const NodeDef* source = Source(node, kernel);
        if (source != nullptr && SquaredNormOf(Input(*inverse, 0)) == source) return source;
      }
    } else if (node.op() == "RealDiv" || node.op() == "Div") {
      const NodeDef* norm = Skip(Input(node, 1));
      if (norm == nullptr || norm->op() != "Sqrt") return nullptr;
      const NodeDef* source = Source(node, 0);
      if (source != nullptr && SquaredNormOf(Input(*norm, 0)) == source) return source;
    }
    return nullptr;
  }

  const NodesByName& nodes() const { return nodes_; }

 private:
  const NodeDef* Input(const NodeDef& node, int i) const {
    if (i >= node.input_size() || node.input(i).empty() || node.input(i)[0] == '^') return nullptr;
    return nodes_.at(NodeName(node.input(i)));
  }

  const NodeDef* Skip(const NodeDef* node) const {
    while (node != nullptr && node->op() == "Identity") node = Input(*node, 0);
    return node;
  }

  const NodeDef* Source(const NodeDef& node, int i) const {
    const NodeDef* source = Input(node, i);
    while (source != nullptr && (source->op() == "Identity" || source->op() == "ReadVariableOp")) {
      source = Input(*source, 0);
    }
    if (source == nullptr) return nullptr;
    return source->op() == "Const" || IsVariable(source->op()) ? source : nullptr;
  }

  // The constant or variable whose squared norm the node computes, possibly with a lower limit or
  // an epsilon; null if it does not compute one.
  const NodeDef* SquaredNormOf(const NodeDef* node) const {
    node = Skip(node);
    if (node == nullptr) return nullptr;
    if (node->op() == "Maximum" || node->op() == "Add" || node->op() == "AddV2") {
      for (int i : {0, 1}) {
        const NodeDef* epsilon = Skip(Input(*node, 1 - i));
        if (epsilon == nullptr || epsilon->op() != "Const") continue;
        if (const NodeDef* source = SumOfSquares(Skip(Input(*node, i)))) return source;
      }
      return nullptr;
    }
    return SumOfSquares(node);
  }

  const NodeDef* SumOfSquares(const NodeDef* sum) const {
    if (sum == nullptr || sum->op() != "Sum") return nullptr;
    const NodeDef* axes = Skip(Input(*sum, 1));
    const NodeDef* square = Skip(Input(*sum, 0));
    if (axes == nullptr || axes->op() != "Const" || square == nullptr) return nullptr;
    if (square->op() == "Square") return Source(*square, 0);
    if (square->op() != "Mul") return nullptr;
    const NodeDef* source = Source(*square, 0);
    return source == Source(*square, 1) ? source : nullptr;
  }

  const NodesByName nodes_;
};

// Computes nodes that depend only on constants. Returns their values, as constants with the same
// names.
absl::StatusOr<absl::flat_hash_map<std::string, NodeDef>> Evaluate(
    const GraphDef& graph, const std::vector<std::string>& names) {
  GraphDef part;
  *part.mutable_versions() = graph.versions();
  const NodesByName needed = Needed(graph, names);
  for (const NodeDef& node : graph.node()) {
    if (!needed.contains(node.name())) continue;
    NodeDef* copy = part.add_node();
    *copy = node;
    copy->clear_device();
    copy->mutable_attr()->erase("_output_shapes");
  }
  tensorflow::Graph evaluated(tensorflow::OpRegistry::Global());
  // As in fold_constants. A session would take longer to create.
  tensorflow::GraphRunner runner(tensorflow::Env::Default());
  std::vector<tensorflow::Tensor> values;
  TF_RETURN_IF_ERROR(tensorflow::ConvertGraphDefToGraph({}, std::move(part), &evaluated));
  TF_RETURN_IF_ERROR(runner.Run(&evaluated, nullptr, {}, names, &values));
  absl::flat_hash_map<std::string, NodeDef> constants;
  for (size_t i = 0; i < names.size(); ++i) {
    NodeDef& constant = constants[names[i]];
    constant.set_name(names[i]);
    constant.set_op("Const");
    constant.set_device(needed.at(names[i])->device());
    (*constant.mutable_attr())["dtype"].set_type(values[i].dtype());
    values[i].AsProtoTensorContent((*constant.mutable_attr())["value"].mutable_tensor());
  }
  return constants;
}

// Removes candidates that no node reads, except those to keep.
void DropUnread(const absl::flat_hash_set<std::string>& candidates,
                const absl::flat_hash_set<std::string>& kept, GraphDef* graph) {
  int count = 0;
  do {
    count = graph->node_size();
    absl::flat_hash_set<std::string> read = kept;
    for (const NodeDef& node : graph->node()) {
      for (const std::string& input : node.input()) read.emplace(NodeName(input));
    }
    auto* nodes = graph->mutable_node();
    const auto unread = std::remove_if(nodes->begin(), nodes->end(), [&](const NodeDef& node) {
      return candidates.contains(node.name()) && !read.contains(node.name());
    });
    nodes->erase(unread, nodes->end());
  } while (graph->node_size() != count);
}

}  // namespace

absl::Status FoldL2Norm(const tensorflow::graph_transforms::TransformFuncContext& context,
                        GraphDef* graph) {
  const Finder finder(*graph);
  std::vector<std::string> names;
  absl::flat_hash_set<absl::string_view> seen;
  for (const NodeDef& node : graph->node()) {
    if (!IsConvolution(node.op())) continue;
    const NodeDef* found = finder.Normalisation(node);
    if (found == nullptr || !seen.insert(found->name()).second) continue;
    const NodeDef* source = finder.Normalised(*found);
    if (IsVariable(source->op())) {
      return Invalid("expected constants as kernels of convolutions, got variable ", source->name(),
                     " in node ", node.name(), "; freeze the graph first");
    }
    // An input is fed when the graph runs, so it is not a constant.
    const NodesByName computed = Needed(*graph, {found->name()});
    const bool fed =
        std::any_of(context.input_names.begin(), context.input_names.end(),
                    [&](const std::string& input) { return computed.contains(NodeName(input)); });
    if (!fed) names.push_back(found->name());
  }
  if (names.empty()) return absl::OkStatus();
  TF_ASSIGN_OR_RETURN(auto constants, Evaluate(*graph, names));

  // Only nodes that computed the constants are removed: strip_unused_nodes removes others.
  absl::flat_hash_set<std::string> candidates;
  for (const auto& [name, node] : Needed(*graph, names)) candidates.emplace(name);
  for (NodeDef& node : *graph->mutable_node()) {
    const auto constant = constants.find(node.name());
    if (constant != constants.end()) node = std::move(constant->second);
  }
  absl::flat_hash_set<std::string> kept(context.input_names.begin(), context.input_names.end());
  kept.insert(context.output_names.begin(), context.output_names.end());
  DropUnread(candidates, kept, graph);
  return absl::OkStatus();
}

}  // namespace imprinting

#include "transforms/fold_l2_norm.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/protobuf/config.pb.h"
#include "tensorflow/core/protobuf/rewriter_config.pb.h"
#include "tensorflow/core/public/session.h"
#include "tensorflow/core/public/session_options.h"
#include "transforms/freeze.h"
#include "transforms/graph_check.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

bool IsConvolution(absl::string_view op) { return op == "Conv2D" || op == "DepthwiseConv2dNative"; }

// Looks for the normalised kernels of a graph.
class Finder {
 public:
  explicit Finder(const GraphDef& graph) : nodes_(IndexNodes(graph)) {}

  // The node that normalises the filter of a convolution; null where none does.
  const NodeDef* Normalisation(const NodeDef& convolution) const {
    const NodeDef* node = Input(convolution, 1);
    // Between the two, a kernel may be scaled by a folded batch norm, and quantised.
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

  // The constant, or the variable, that the node normalises; null where it does no such thing.
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

  // The constant or variable whose squares are summed, and kept from zero, as the node's value.
  const NodeDef* SquaredNormOf(const NodeDef* node) const {
    node = Skip(node);
    if (node == nullptr) return nullptr;
    if (node->op() == "Maximum" || node->op() == "Add" || node->op() == "AddV2") {
      for (int i : {0, 1}) {
        const NodeDef* least = Skip(Input(*node, 1 - i));
        if (least == nullptr || least->op() != "Const") continue;
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

// Computes nodes that depend on constants alone.
absl::StatusOr<std::vector<tensorflow::Tensor>> Evaluate(const GraphDef& graph,
                                                         const std::vector<std::string>& names) {
  GraphDef part;
  *part.mutable_versions() = graph.versions();
  const NodesByName needed = Needed(graph, names);
  for (const NodeDef& node : graph.node()) {
    if (!needed.contains(node.name())) continue;
    *part.add_node() = node;
    part.mutable_node(part.node_size() - 1)->clear_device();
    part.mutable_node(part.node_size() - 1)->mutable_attr()->erase("_output_shapes");
  }
  tensorflow::SessionOptions options;
  auto* graph_options = options.config.mutable_graph_options();
  // As the graph is written: nothing is to be gained by rewriting what runs once.
  graph_options->mutable_optimizer_options()->set_opt_level(tensorflow::OptimizerOptions::L0);
  graph_options->mutable_rewrite_options()->set_disable_meta_optimizer(true);
  (*options.config.mutable_device_count())["GPU"] = 0;
  const std::unique_ptr<tensorflow::Session> session(tensorflow::NewSession(options));
  if (session == nullptr) return absl::InternalError("TensorFlow makes no session");
  if (absl::Status status = session->Create(part); !status.ok()) return status;
  std::vector<tensorflow::Tensor> values;
  if (absl::Status status = session->Run({}, names, {}, &values); !status.ok()) return status;
  return values;
}

}  // namespace

absl::Status FoldL2Norm(const GraphDef& graph,
                        const tensorflow::graph_transforms::TransformFuncContext& context,
                        GraphDef* folded) {
  const Finder finder(graph);
  std::vector<std::string> names;
  absl::flat_hash_set<absl::string_view> seen;
  for (const NodeDef& node : graph.node()) {
    if (!IsConvolution(node.op())) continue;
    const NodeDef* found = finder.Normalisation(node);
    if (found == nullptr || !seen.insert(found->name()).second) continue;
    const NodeDef* source = finder.Normalised(*found);
    if (IsVariable(source->op())) {
      return absl::InvalidArgumentError(absl::StrCat("expected constants as kernels, but that of ",
                                                     node.name(), " is variable ", source->name(),
                                                     ": freeze the graph first"));
    }
    names.push_back(found->name());
  }
  *folded = graph;
  if (names.empty()) return absl::OkStatus();
  auto values = Evaluate(graph, names);
  if (!values.ok()) return values.status();

  absl::flat_hash_map<std::string, const tensorflow::Tensor*> constants;
  for (size_t i = 0; i < names.size(); ++i) constants[names[i]] = &(*values)[i];
  const NodesByName before = Needed(*folded, names);
  absl::flat_hash_set<std::string> candidates;
  for (const auto& [name, node] : before) candidates.insert(std::string(name));
  for (NodeDef& node : *folded->mutable_node()) {
    const auto constant = constants.find(node.name());
    if (constant == constants.end()) continue;
    NodeDef replacement;
    replacement.set_name(node.name());
    replacement.set_op("Const");
    replacement.set_device(node.device());
    (*replacement.mutable_attr())["dtype"].set_type(constant->second->dtype());
    constant->second->AsProtoTensorContent((*replacement.mutable_attr())["value"].mutable_tensor());
    node = replacement;
  }
  // What nobody needs any more goes, of what computed the constants: other unused nodes are for
  // strip_unused_nodes to take.
  absl::flat_hash_set<std::string> used(context.input_names.begin(), context.input_names.end());
  used.insert(context.output_names.begin(), context.output_names.end());
  for (bool changed = true; changed;) {
    absl::flat_hash_set<std::string> read = used;
    for (const NodeDef& node : folded->node()) {
      for (const std::string& input : node.input()) read.insert(std::string(NodeName(input)));
    }
    const int count = folded->node_size();
    GraphDef kept;
    for (NodeDef& node : *folded->mutable_node()) {
      if (read.contains(node.name()) || !candidates.contains(node.name())) {
        *kept.add_node() = std::move(node);
      }
    }
    folded->mutable_node()->Swap(kept.mutable_node());
    changed = folded->node_size() != count;
  }
  return absl::OkStatus();
}

}  // namespace imprinting

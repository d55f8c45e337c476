#include "transforms/cc/import_check.h"

#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tensorflow/core/common_runtime/graph_constructor.h"
#include "tensorflow/core/framework/attr_value.pb.h"
#include "tensorflow/core/framework/function.pb.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "tensorflow/core/framework/node_def.pb.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/tensor.pb.h"
#include "tensorflow/core/graph/graph.h"
#include "transforms/cc/graph_check.h"
#include "transforms/cc/nodes.h"
#include "transforms/cc/status.h"

namespace imprinting {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// The attribute that lists the nodes whose device a node shares, and the prefix of their names.
constexpr char kColocation[] = "_class";
constexpr char kNodePrefix[] = "loc:@";

// The size from which a constant is large: no shape is computed from the values of such a constant.
constexpr size_t kLargeBytes = 1 << 16;

// Calls change for each name of a node in `_class`, to change it. Removes those for which it
// returns false.
template <typename Change>
void ChangeColocation(NodeDef* node, Change change) {
  const auto found = node->mutable_attr()->find(kColocation);
  if (found == node->mutable_attr()->end()) return;
  auto* list = found->second.mutable_list();
  std::vector<std::string> kept;
  for (const std::string& entry : list->s()) {
    absl::string_view name = entry;
    if (!absl::ConsumePrefix(&name, kNodePrefix)) {
      kept.push_back(entry);
      continue;
    }
    std::string changed(name);
    if (change(&changed)) kept.push_back(absl::StrCat(kNodePrefix, changed));
  }
  list->clear_s();
  for (std::string& entry : kept) list->add_s(std::move(entry));
  if (kept.empty()) node->mutable_attr()->erase(kColocation);
}

}  // namespace

void RemoveDangling(GraphDef* graph) {
  absl::flat_hash_set<std::string> names;
  for (const NodeDef& node : graph->node()) names.insert(node.name());
  for (NodeDef& node : *graph->mutable_node()) {
    ChangeColocation(&node, [&](std::string* name) { return names.contains(*name); });
    int kept = 0;
    for (int i = 0; i < node.input_size(); ++i) {
      const std::string& input = node.input(i);
      if (absl::StartsWith(input, "^") && !names.contains(NodeName(input))) continue;
      node.mutable_input()->SwapElements(kept++, i);
    }
    node.mutable_input()->DeleteSubrange(kept, node.input_size() - kept);
  }
}

void FollowRenaming(const std::vector<std::string>& before, GraphDef* graph) {
  absl::flat_hash_map<std::string, std::string> now;
  for (size_t i = 0; i < before.size() && i < static_cast<size_t>(graph->node_size()); ++i) {
    now.emplace(before[i], graph->node(i).name());
  }
  for (NodeDef& node : *graph->mutable_node()) {
    ChangeColocation(&node, [&](std::string* name) {
      const auto found = now.find(*name);
      if (found == now.end()) return false;
      *name = found->second;
      return true;
    });
  }
}

std::vector<std::string> UnknownOps(const GraphDef& graph) {
  absl::flat_hash_set<std::string> functions;
  for (const auto& function : graph.library().function()) {
    functions.insert(function.signature().name());
  }
  std::set<std::string> unknown;
  const auto look_up = [&](const NodeDef& node) {
    if (!functions.contains(node.op()) && FindOp(node.op()) == nullptr) unknown.insert(node.op());
  };
  for (const NodeDef& node : graph.node()) look_up(node);
  for (const auto& function : graph.library().function()) {
    for (const NodeDef& node : function.node_def()) look_up(node);
  }
  return {unknown.begin(), unknown.end()};
}

absl::Status CheckImport(GraphDef* graph) {
  TF_RETURN_IF_ERROR(CheckStructure(*graph));
  if (!UnknownOps(*graph).empty()) return absl::OkStatus();
  // Without the large values, of which importing would make copies.
  std::vector<std::pair<NodeDef*, std::string>> values;
  for (NodeDef& node : *graph->mutable_node()) {
    const auto value = node.mutable_attr()->find("value");
    if (node.op() != "Const" || value == node.mutable_attr()->end()) continue;
    std::string* content = value->second.mutable_tensor()->mutable_tensor_content();
    if (content->size() < kLargeBytes) continue;
    values.emplace_back(&node, std::string());
    values.back().second.swap(*content);
  }
  tensorflow::Graph imported(tensorflow::OpRegistry::Global());
  const absl::Status status = tensorflow::ImportGraphDef({}, *graph, &imported, nullptr);
  for (auto& [node, content] : values) {
    node->mutable_attr()->at("value").mutable_tensor()->mutable_tensor_content()->swap(content);
  }
  if (status.ok()) return status;
  return Invalid("expected a graph that TensorFlow can import, got one that it cannot: ",
                 status.message());
}

}  // namespace imprinting

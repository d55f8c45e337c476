// The graph transform fold_l2_norm: L2-normalised convolution kernels become constants.

#ifndef TRANSFORMS_CC_FOLD_L2_NORM_H_
#define TRANSFORMS_CC_FOLD_L2_NORM_H_

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "transforms/cc/registry.h"

namespace imprinting {

// Folds what normalises a constant kernel of a convolution, and nothing else.
//
// Known are the forms w * rsqrt(max(sum(square(w)), epsilon)), as tf.nn.l2_normalize writes it
// (Qi, Brown and Lowe, arXiv 1712.07136, section 3.1, is where the kernel comes from), and
// w / sqrt(sum(square(w))), as w / tf.norm(w); along any axes, for kernels of any size, behind
// fake-quant nodes too, which stay. TensorFlow's own kernels compute the constant, so that it has
// the bits that the unfolded graph computes.
//
// Takes no parameters. Returns InvalidArgument where a kernel that is to be folded is a variable;
// the graph is then as it was.
absl::Status FoldL2Norm(const tensorflow::graph_transforms::TransformFuncContext& context,
                        tensorflow::GraphDef* graph);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_FOLD_L2_NORM_H_

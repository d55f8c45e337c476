// The graph transform fold_l2_norm: turns L2-normalised convolution kernels into constants.

#ifndef TRANSFORMS_CC_FOLD_L2_NORM_H_
#define TRANSFORMS_CC_FOLD_L2_NORM_H_

#include "absl/status/status.h"
#include "tensorflow/core/framework/graph.pb.h"
#include "transforms/cc/registry.h"

namespace imprinting {

// Replaces each normalised constant kernel of a convolution by its value, a constant (the class
// vectors of Qi, Brown and Lowe, arXiv 1712.07136, section 3.1). Changes nothing else.
//
// Recognises w * rsqrt(max(sum(square(w)), epsilon)), the form of tf.nn.l2_normalize(w), and
// w / sqrt(sum(square(w))), the form of w / tf.norm(w), along any axes and for kernels of any size.
// A multiplication by a folded batch norm and fake-quant nodes may follow, and are kept.
// TensorFlow's own kernels compute the constant, so it is equal to the unfolded graph's result bit
// for bit.
//
// Has no parameters. Returns InvalidArgument if a normalised kernel is a variable, and then leaves
// the graph as it was.
absl::Status FoldL2Norm(const tensorflow::graph_transforms::TransformFuncContext& context,
                        tensorflow::GraphDef* graph);

}  // namespace imprinting

#endif  // TRANSFORMS_CC_FOLD_L2_NORM_H_

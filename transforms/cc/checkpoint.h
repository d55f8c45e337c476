// Reads the values of variables from a checkpoint in any of TensorFlow's formats.

#ifndef TRANSFORMS_CC_CHECKPOINT_H_
#define TRANSFORMS_CC_CHECKPOINT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/tensor_shape.h"
#include "tensorflow/core/framework/types.pb.h"

namespace imprinting {

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // Opens a checkpoint: files PREFIX.index and PREFIX.data-… (format V2), with variables by name
  // (TensorFlow 1) or by object (TensorFlow 2), or files PREFIX or PREFIX-?????-of-????? (format
  // V1).
  //
  // Args:
  //   path: the prefix, or one of the files PREFIX.index, PREFIX.data-… and PREFIX.meta.
  //
  // Returns NotFound if there is no such checkpoint, PermissionDenied if it may not be read, and
  // DataLoss if a file is damaged: too short, or with wrong checksums.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& path);

  // Returns whether the checkpoint has the variable, and if so sets its type and shape.
  virtual bool Find(const std::string& name, tensorflow::DataType* type,
                    tensorflow::TensorShape* shape) const = 0;

  // Reads a variable that the checkpoint has. Returns DataLoss if its data is damaged.
  virtual absl::StatusOr<tensorflow::Tensor> Read(const std::string& name) = 0;
};

}  // namespace imprinting

#endif  // TRANSFORMS_CC_CHECKPOINT_H_

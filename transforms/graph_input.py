"""Attributes of the input of an exported graph, which say what a .tflite of it must tell its users.

TensorFlow ignores attributes whose names begin with an underscore, and keeps them.
"""

# The network's name for people.
TITLE = "_title"
# The value of a `photo_crop.Crop`: which part of a photo the input is.
CROP = "_crop"

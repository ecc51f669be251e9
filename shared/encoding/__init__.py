"""From a decoded picture to its hash code: embedders, binarizers and the encoder that joins them."""

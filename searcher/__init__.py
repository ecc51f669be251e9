"""A seed in (picture, URL, image id or hash code), the nearest visible images in Hamming distance out."""

"""Files of tensors: safetensors, codecs, and the random words their contents come from."""

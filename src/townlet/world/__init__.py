"""The town: a file per noun, all rules over one state value, compiled kernels over many worlds."""

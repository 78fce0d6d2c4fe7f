"""The gradient of a policy's losses, and steps against it: compiled kernels on the CPU, torch on a GPU."""

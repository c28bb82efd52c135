// SPDX-License-Identifier: Apache-2.0
//
// Fuzzes the whole launch: nsexec() with the environment, the message and the kernel's answers of a
// Script. model_kernel.cc has the requirements.

#include "model_kernel.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  nsenter::fuzz::ModelKernel kernel(nsenter::fuzz::ParseScript(data, size));
  kernel.RunNsexec();
  return 0;
}

// SPDX-License-Identifier: Apache-2.0

#include <iostream>

#include "nsexec.h"

int main() {
  nsexec();
  std::cout << "nsexec returned\n";
}

// SPDX-License-Identifier: Apache-2.0
//
// A library with the core in it, which machine_test loads. It says whether it is being loaded: of
// its constructor, and whenever it is asked.

#include "machine.h"

#include <unistd.h>

namespace {

bool said_by_constructor = false;
bool said_of_another_thread = true;

[[gnu::constructor]] void Construct() {
  said_by_constructor = nsenter::machine::IsBeingLoaded(gettid());
  // That one does not load anything.
  said_of_another_thread = nsenter::machine::IsBeingLoaded(gettid() + 1);
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] bool ConstructorWasBeingLoaded();
bool ConstructorWasBeingLoaded() { return said_by_constructor; }

[[gnu::visibility("default")]] bool AnotherThreadWasLoading();
bool AnotherThreadWasLoading() { return said_of_another_thread; }

[[gnu::visibility("default")]] bool LibraryIsBeingLoaded();
bool LibraryIsBeingLoaded() { return nsenter::machine::IsBeingLoaded(gettid()); }

}  // extern "C"

# SPDX-License-Identifier: Apache-2.0
#
# Builds the programs of tests/unit from $(SRC) into $(OUT) with $(CXX), as CMakeLists.txt does it: bullseye's CMake is too
# old for that file. GoogleTest is the tree's, compiled.

warnings = -Wall -Wextra -Wconversion -Wshadow -Werror
core_flags = -std=c++20 -O2 -fPIC -fno-exceptions -fno-rtti -fvisibility=hidden -fstack-protector-strong $(warnings)
test_flags = -std=c++20 -O0 $(warnings) -I$(SRC)/cpp -I$(SRC)/parent -include $(OUT)/gtest.h \
	-DNSEXEC_VECTORS_DIR='"$(SRC)/tests/conformance/vectors"' -DLAUNCHED_PROGRAM='"$(OUT)/launched_program"'

names = $(basename $(notdir $(wildcard $(1))))
core := $(call names,$(SRC)/cpp/*.cc)
parent := $(call names,$(SRC)/parent/*.cc)
tests := $(call names,$(SRC)/tests/unit/*_test.cc)
support := child vectors
core_objects := $(core:%=$(OUT)/core/%.o)

all: $(tests:%=$(OUT)/%)

$(shell mkdir -p $(OUT)/core $(OUT)/parent $(OUT)/tests)

$(OUT)/core/%.o: $(SRC)/cpp/%.cc
	$(CXX) $(core_flags) -MMD -c -o $@ $<

$(OUT)/parent/%.o: $(SRC)/parent/%.cc
	$(CXX) $(filter-out -fno-rtti,$(core_flags)) -I$(SRC)/cpp -I$(SRC)/parent -MMD -c -o $@ $<

# Most of the time that a test takes to compile goes into GoogleTest's headers.
$(OUT)/gtest.h:
	echo '#include <gtest/gtest.h>' >$@

$(OUT)/gtest.h.gch: $(OUT)/gtest.h
	$(CXX) -std=c++20 -O0 -x c++-header -o $@ $<

$(OUT)/tests/%.o: $(SRC)/tests/unit/%.cc $(OUT)/gtest.h.gch
	$(CXX) $(test_flags) -MMD -c -o $@ $<

# An archive, from which the linker takes only what is not defined otherwise: a *_scripted_test has its system calls from
# scripted_kernel.cc instead of sys.cc.
$(OUT)/libnsexec.a: $(core_objects)
	rm -f $@ && ar rc $@ $^

$(OUT)/launched_program: $(OUT)/tests/launched_program.o $(OUT)/libnsexec.a
	$(CXX) -o $@ $^

$(OUT)/%_scripted_test: $(OUT)/tests/%_scripted_test.o $(OUT)/tests/scripted_kernel.o $(support:%=$(OUT)/tests/%.o) $(OUT)/libnsexec.a
	$(CXX) -o $@ $^ -lgtest -lgtest_main -pthread

$(OUT)/launch_test: $(parent:%=$(OUT)/parent/%.o) | $(OUT)/launched_program

$(OUT)/%_test: $(OUT)/tests/%_test.o $(support:%=$(OUT)/tests/%.o) $(OUT)/libnsexec.a
	$(CXX) -o $@ $(filter $(OUT)/tests/%.o $(OUT)/parent/%.o,$^) $(OUT)/libnsexec.a -lgtest -lgtest_main -pthread

$(OUT)/later_kernel: $(SRC)/tests/system/platforms/libc/later_kernel.cc
	$(CXX) -std=c++20 $(warnings) -o $@ $<

.PRECIOUS: $(OUT)/tests/%.o
.DELETE_ON_ERROR:
-include $(wildcard $(OUT)/core/*.d $(OUT)/parent/*.d $(OUT)/tests/*.d)

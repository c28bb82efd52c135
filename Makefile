# SPDX-License-Identifier: Apache-2.0

.PHONY: help demo test quick check platforms sweep soak fuzz model matrix coverage mutate bench lint format clean

help:
	@echo 'make demo    join the namespaces of a running process, then run a container with runc on this nsexec'
	@echo 'make test    run every test there is, with a summary (REQUIRE_ALL=1: a skipped test is a failure)'
	@echo 'make quick   what to run before each commit: formatting, vet, C++ tests and fast Go tests, within a minute'
	@echo 'make check   what goes beyond: a fixed part of all faults, other machines, a second kernel, a model, fuzzers, some mutants'
	@echo 'make platforms  run the tests on other machines and kernels, emulated, and print a table'
	@echo 'make sweep   let every system call of every process fail in every way, on runc as well'
	@echo 'make soak    launch 64 programs at once 200 times, and 100,000 in a row'
	@echo 'make fuzz    fuzz for FUZZ_SECONDS (60) with each fuzzer, and check that they find planted defects'
	@echo 'make model   go through all interleavings of a launch, in a model of it, and check that planted defects are found'
	@echo 'make matrix  print which combinations of namespaces come to the same as with runc, and which do not, and why'
	@echo 'make coverage  count the lines and branches of cpp/ that tests reach'
	@echo 'make mutate  change the core in one place after the other, and see whether a test notices'
	@echo 'make bench   measure launches and whole commands next to runc, and write docs/bench'
	@echo 'make lint    formatting and static analysis only'
	@echo 'make format  format C++ and Go sources in place'
	@echo 'make clean   remove build folders'

demo:
	@scripts/setup demo
	@scripts/demo

test:
	@scripts/setup
	@go run ./tests/tools/run

quick:
	@scripts/setup
	@go run ./tests/tools/run quick

check:
	@scripts/setup check
	@go run ./tests/tools/run check

platforms:
	@scripts/setup platforms
	@scripts/keep platforms tests/system/platforms/run

sweep:
	@scripts/setup
	@scripts/keep sweep scripts/sweep full

soak:
	@scripts/setup
	@REQUIRE_ALL=1 go test -count=1 -v -timeout 2h ./tests/system/soak -args -rounds 200 -in-a-row 100000

fuzz:
	@scripts/setup
	@scripts/keep fuzz tests/fuzz/run
	@tests/fuzz/run planted

model:
	@scripts/setup check
	@scripts/keep model tests/model/run

matrix:
	@scripts/setup
	@cd tests/conformance/matrix && REQUIRE_ALL=1 go test -count=1 -print

coverage:
	@scripts/setup check
	@scripts/keep coverage go run ./tests/tools/coverage

mutate:
	@scripts/setup
	@scripts/keep mutate go run ./tests/tools/mutate

bench:
	@scripts/setup
	@cd tests/bench && go run . -out docs/bench

lint:
	@scripts/setup
	@go run ./tests/tools/run lint

format:
	@scripts/format

clean:
	rm -rf _*/

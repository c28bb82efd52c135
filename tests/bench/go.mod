module nsenter-cpp.example/tests/bench

go 1.25.0

require (
	github.com/opencontainers/runc v1.5.2
	golang.org/x/sys v0.46.0
	nsenter-cpp.example v0.0.0
)

replace nsenter-cpp.example => ../..

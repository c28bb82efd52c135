module nsenter-cpp.example/tests/conformance/peers/runc12

go 1.22

require github.com/opencontainers/runc v1.2.0

module nsenter-cpp.example/tests/attack

go 1.18

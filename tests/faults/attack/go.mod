module nsenter-cpp.example/tests/faults/attack

go 1.18

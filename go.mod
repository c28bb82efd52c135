module nsenter-cpp.example

go 1.18

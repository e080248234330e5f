module screenshot

go 1.19

module example.com/acme/libs/durations

go 1.25.0

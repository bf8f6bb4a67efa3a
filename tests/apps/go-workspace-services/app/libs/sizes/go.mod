module example.com/acme/libs/sizes

go 1.25.0

require github.com/dustin/go-humanize v1.0.1

module example.com/shop/v2

go 1.24.0

toolchain go1.25.0

require github.com/go-chi/chi/v5 v5.2.1

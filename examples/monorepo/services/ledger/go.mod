module example.com/harbour/ledger

go 1.25

require (
	github.com/go-chi/chi/v5 v5.2.1
	github.com/google/go-cmp v0.6.0
	github.com/shopspring/decimal v1.4.0
	golang.org/x/sync v0.11.0
	gopkg.in/yaml.v3 v3.0.1
)

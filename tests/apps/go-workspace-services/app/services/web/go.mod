module example.com/acme/services/web

go 1.25.0

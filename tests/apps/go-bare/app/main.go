package main

import "net/http"

func main() { _ = http.ListenAndServe(":5000", nil) }
